/**
 * Sizes in bytes as configuration writes them.
 *
 * Units follow Relay: a lower-case `k` is decimal (`1kB` = 1000), an upper-case `K` binary (`1KB` = `1KiB` = 1024);
 * larger units are decimal (`MB`, `GB`, `TB`) or binary (`MiB`, `GiB`, `TiB`) in any case.
 */

const FACTORS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["kb", 1000],
  ["kib", 1024],
  ["mb", 1000 ** 2],
  ["mib", 1024 ** 2],
  ["gb", 1000 ** 3],
  ["gib", 1024 ** 3],
  ["tb", 1000 ** 4],
  ["tib", 1024 ** 4],
]);

/** From large to small, so that the first unit that divides a size is the shortest way to write it. */
const UNITS = ["TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"] as const;

/**
 * The number of bytes of a size such as `512`, `"10MiB"` or `"1.5 GB"`.
 *
 * @throws {RangeError} for anything else, and for sizes that are not a whole number of bytes up to 2^53
 */
export function parseByteSize(text: string | number): number {
  const bytes = typeof text === "number" ? text : bytesOf(text);
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new RangeError(
      `not a size in bytes: "${text}" (write a number, or a number with B, kB, KiB, MB, MiB, GB or GiB)`,
    );
  }
  return bytes;
}

function bytesOf(text: string): number {
  const parts = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(text);
  if (!parts) return NaN;
  const unit = parts[2] === "KB" ? "kib" : parts[2]?.toLowerCase() ?? "";
  return Number(parts[1]) * (FACTORS.get(unit) ?? NaN);
}

/** A size in the largest unit that divides it, as {@link parseByteSize} reads it: `10MiB`, `1kB`, `1025B`. */
export function formatByteSize(bytes: number): string {
  if (bytes > 0) {
    for (const unit of UNITS) {
      const factor = FACTORS.get(unit.toLowerCase()) ?? 1;
      if (bytes % factor === 0) return `${bytes / factor}${unit}`;
    }
  }
  return `${bytes}B`;
}
