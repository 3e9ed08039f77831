/**
 * Memory of the process against what it may use, as `health.max_memory_bytes` and `health.max_memory_percent` say
 * (control reference, sections 2 and 13).
 *
 * The percentage is of the machine's memory, which takes a permission to ask for; a runtime without it, and a container
 * with a bound of its own, need `max_memory_bytes`.
 */

/** Bytes the process may use; `null` when nobody says. */
export function memoryBytesMax(
  health: { readonly maxMemoryBytes: number | null; readonly maxMemoryPercent: number },
  machineBytes: number | null = machineMemoryBytes(),
): number | null {
  const share = machineBytes === null ? Infinity : machineBytes * health.maxMemoryPercent;
  const bytes = Math.min(health.maxMemoryBytes ?? Infinity, share);
  return bytes === Infinity ? null : bytes;
}

/** Share of the bound in use, at most 1; 0 without a bound. */
export function memoryPressure(
  bytesMax: number | null,
  bytesUsed: number = Deno.memoryUsage().rss,
): number {
  return bytesMax === null ? 0 : Math.min(1, bytesUsed / Math.max(1, bytesMax));
}

/** Memory of the machine; `null` without the permission, which is never asked for. */
function machineMemoryBytes(): number | null {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  return state === "granted" ? Deno.systemMemoryInfo().total : null;
}
