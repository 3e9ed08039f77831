/** Sizes, ages and counts for people. */

const SIZE_UNITS = ["KiB", "MiB", "GiB", "TiB"] as const;
const AGE_UNITS = [["d", 86_400], ["h", 3600], ["m", 60]] as const;

/** `512 B`, `1.2 KiB`, `34.0 MiB`. */
export function readableSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(SIZE_UNITS.length, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${SIZE_UNITS[power - 1]}`;
}

/** The largest unit alone: `12s`, `5m`, `3h`, `2d`. */
export function readableAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  for (const [unit, length] of AGE_UNITS) {
    if (seconds >= length) return `${Math.floor(seconds / length)}${unit}`;
  }
  return `${seconds}s`;
}

/** One line without control characters: what clients and upstreams wrote must not command a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}

/** `1 record`, `2 records`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Rows with their columns aligned; the first row is the heading. */
export function alignedRows(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd();
  return rows.map((row) => `${line(row)}\n`).join("");
}
