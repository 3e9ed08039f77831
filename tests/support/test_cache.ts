/** Things tests install or build once and keep between runs, outside the source tree. */
import { createHash } from "node:crypto";

/** Folder of the cache: `LANDFALL_TEST_CACHE`, or one in the temporary directory. */
export function cacheFolder(): string {
  const tmp = Deno.env.get("TMPDIR") ?? Deno.env.get("TEMP") ?? "/tmp";
  return Deno.env.get("LANDFALL_TEST_CACHE") ?? `${tmp}/landfall-test-cache`;
}

/** SHA-256 of all parts in order, 64 hex characters. */
export function sha256(...parts: readonly (Uint8Array | string)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/**
 * The folder `<cache>/<name>`, made by `build` unless an earlier run did.
 *
 * Built beside its place and moved there whole, so that neither a broken build nor two builds at once leave half of one.
 */
export async function cached(
  name: string,
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = `${cacheFolder()}/${name}`;
  if (await exists(folder)) return folder;
  const part = `${folder}.${crypto.randomUUID()}`;
  await Deno.mkdir(part, { recursive: true });
  try {
    await build(part);
    await Deno.rename(part, folder);
  } catch (error) {
    await Deno.remove(part, { recursive: true });
    if (!await exists(folder)) throw error;
  }
  return folder;
}

/** Whether there is anything at this path. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
