/** Waiting for what another process does: real conditions, looked at again and again, with an end. */

/** Waits until a condition holds, looking again every few milliseconds. @throws Error saying what did not happen. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(`Did not happen within ${withinMs} ms: ${what}`);
    await pause(10);
  }
}

/** Lets other processes run for a while. Never a condition by itself. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
