/**
 * An exclusive lock on a file, held until it is released or the process ends, however it ends.
 */
import type { Clock } from "../core/clock.ts";
import type { StorageLock } from "./storage.ts";

/** How long to wait for a lock where the runtime can only wait for it, not try it. */
const WAIT_MS = 500;

/**
 * Locks `path`, creating it, and writes this process's id into it. A string names the process that has the lock.
 *
 * @throws the errors of `Deno.open`
 */
export async function lockFile(path: string, clock: Clock): Promise<StorageLock | string> {
  const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  if (!await tryLock(file, clock)) {
    const holder = (await Deno.readTextFile(path)).trim();
    file.close();
    return holder === "" ? "another process" : `process ${holder}`;
  }
  await file.truncate();
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return { release: () => file.close() };
}

async function tryLock(file: Deno.FsFile, clock: Clock): Promise<boolean> {
  // Deno before 2.9 has no such method, whatever the types of the version that checks this say.
  if (typeof (file as Partial<Deno.FsFile>).tryLock === "function") return await file.tryLock(true);
  const late = Promise.withResolvers<boolean>();
  const timer = clock.after(WAIT_MS, () => late.resolve(false));
  const isLocked = await Promise.race([file.lock(true).then(() => true), late.promise]);
  timer.cancel();
  return isLocked;
}
