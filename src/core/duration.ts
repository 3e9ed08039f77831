/** Durations as configuration writes them: a number of seconds, or a number with a unit. */

const UNITS_MS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]] as const;

/**
 * The milliseconds of a duration such as `5` or `"5"` (seconds), `"250ms"`, `"1.5s"`, `"3m"`, `"1h"` or `"2d"`.
 *
 * @throws {RangeError} for anything else, negative durations included
 */
export function parseDurationMs(text: string | number): number {
  const ms = typeof text === "number" ? text * 1000 : msOf(text);
  if (!Number.isFinite(ms) || ms < 0) {
    throw new RangeError(`not a duration: "${text}" (write seconds, or a number with ms, s, m, h or d)`);
  }
  return ms;
}

function msOf(text: string): number {
  const parts = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/.exec(text);
  if (!parts) return NaN;
  const unit = UNITS_MS.find(([name]) => name === (parts[2] || "s"));
  return unit ? Number(parts[1]) * unit[1] : NaN;
}

/** A duration in the largest unit that divides it, as {@link parseDurationMs} reads it: `90s`, `250ms`, `2d`. */
export function formatDuration(ms: number): string {
  for (const [name, factor] of UNITS_MS) {
    if (ms > 0 && ms % factor === 0) return `${ms / factor}${name}`;
  }
  return `${ms}ms`;
}
