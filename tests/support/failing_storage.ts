/** The machine's file-system, whose calls a test can make fail. */
import { diskStorage } from "../../src/spool/disk_storage.ts";
import { type Storage, StorageError, type StorageFile } from "../../src/spool/storage.ts";

/** Whether a call fails, by its name and the path it is about. */
export type StorageFault = (name: string, path: string) => boolean;

const CHANGES: ReadonlySet<string> = new Set([
  "ensureFolder",
  "write",
  "sync",
  "truncate",
  "replaceFile",
  "remove",
  "rename",
  "link",
  "removeFolder",
]);

/** What fails once a volume was remounted read-only: all that would change it. */
export const READ_ONLY: StorageFault = (name) =>
  CHANGES.has(name) || name.startsWith("open ") && name !== "open read";

/** {@link Storage} on disk with calls that fail while `fault` says so, as a call does that gets EIO or EROFS. */
export class FailingStorage {
  fault: StorageFault = () => false;
  /** Calls that failed. */
  failed = 0;

  readonly storage: Storage = new Proxy(diskStorage, {
    get: (target, name: keyof Storage) => (...args: unknown[]): Promise<unknown> => {
      const path = String(args[0]);
      return this.#call(name === "open" ? `open ${args[1]}` : name, path, async () => {
        const result = await Reflect.apply(target[name], target, args);
        return name === "open" ? this.#file(result as StorageFile, path) : result;
      });
    },
  });

  #file(file: StorageFile, path: string): StorageFile {
    return {
      size: () => this.#call("size", path, () => file.size()),
      occupied: () => this.#call("occupied", path, () => file.occupied()),
      write: (chunks, position) => this.#call("write", path, () => file.write(chunks, position)),
      read: (into, position) => this.#call("read", path, () => file.read(into, position)),
      sync: () => this.#call("sync", path, () => file.sync()),
      truncate: (bytes) => this.#call("truncate", path, () => file.truncate(bytes)),
      close: () => file.close(),
    };
  }

  async #call<T>(name: string, path: string, call: () => Promise<T>): Promise<T> {
    if (!this.fault(name, path)) return await call();
    this.failed++;
    throw new StorageError("io", `${path}: ${name} fails`);
  }
}
