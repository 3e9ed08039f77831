/** Descriptors kept for everything that is not a client's connection: segments, upstream connections, log, runtime. */
const RESERVED = 192;
/** What most systems allow a process that asked for nothing. */
const OPEN_FILES_DEFAULT = 1024;
const OPEN_FILES_UNLIMITED = 1_000_000;

/**
 * How many connections each of `listeners` may hold, so that the process never runs out of file descriptors.
 *
 * Why: at that limit `node:http` stops accepting for good, without an event.
 */
export function connectionsWithinOpenFiles(listeners: number): number {
  return Math.max(16, Math.floor((openFilesMax() - RESERVED) / listeners));
}

function openFilesMax(): number {
  try {
    const limits = Deno.readTextFileSync("/proc/self/limits");
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
    return soft === "unlimited" ? OPEN_FILES_UNLIMITED : Number(soft ?? OPEN_FILES_DEFAULT);
  } catch {
    return OPEN_FILES_DEFAULT;
  }
}
