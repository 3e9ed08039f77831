import {
  type Storage,
  type StorageEntry,
  StorageError,
  type StorageFile,
  type StorageLock,
  type StorageOpenMode,
} from "../../src/spool/storage.ts";

/** A call about to be made: its name, the path, and its number since the last {@link SimStorage.crash}. */
export interface SimCall {
  readonly name: string;
  readonly path: string;
  readonly index: number;
}

/**
 * What happens at a call instead of success.
 * - `io`, `no_space`: it fails without effect
 * - `power_loss_before`, `power_loss_after`: the machine dies, with the effect of the call undone or done
 */
export type SimFault = "io" | "no_space" | "power_loss_before" | "power_loss_after";

/** Options of {@link SimStorage}. */
export interface SimOptions {
  /** Decides by chance: 0 inclusive to 1 exclusive. Default: always 0.5. */
  readonly random?: () => number;
  /** Asked before every call. */
  readonly fault?: (call: SimCall) => SimFault | null;
  /** Bytes that all files together may have. */
  readonly capacity?: number;
  /** Whether writes may stop anywhere. */
  readonly shortWrites?: boolean;
}

/** What is kept or left out of a sparse file as one. */
export const SIM_BLOCK_BYTES = 64;

/** A change of a file that is not durable. */
type Change =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly bytes: number };

interface SimFile {
  /** Blocks of a sparse file that were ever written: the others take no room. */
  readonly written?: Set<number>;
  /** What the running machine sees. */
  content: Uint8Array;
  /** What is there after a power loss, apart from `unsynced`. */
  durable: Uint8Array;
  unsynced: Change[];
}

/**
 * A file-system in memory that loses power, tears writes, fails and runs full on demand.
 *
 * After a power loss synced bytes are there; of the others any part may be, in any order of the writes: each one is
 * kept, dropped or torn by chance. Removed files may be back, and moved ones at their old place, until their folder was
 * synced by another call. After a
 * failed sync the bytes it should have made durable are dropped for good, though a read still shows them.
 */
export class SimStorage implements Storage {
  fault: (call: SimCall) => SimFault | null;
  capacity: number;
  /** Calls since the last crash. */
  calls = 0;
  /** Calls that the disk failed, ever: by a fault, without power, or without room. */
  failures = 0;
  readonly files = new Map<string, SimFile>();
  readonly folders = new Set<string>();
  readonly #removed = new Map<string, SimFile>();
  #renamed: {
    readonly from: string;
    readonly to: string;
    readonly file: SimFile;
    readonly replaced: SimFile | null;
  }[] = [];
  readonly #locks = new Set<string>();
  readonly #random: () => number;
  readonly #shortWrites: boolean;
  /** Distinguishes handles of before a crash. */
  #life = 0;
  #isDead = false;

  constructor(
    { random = () => 0.5, fault = () => null, capacity = Infinity, shortWrites = false }: SimOptions,
  ) {
    this.#random = random;
    this.fault = fault;
    this.capacity = capacity;
    this.#shortWrites = shortWrites;
  }

  /** Bytes of all files. */
  get bytes(): number {
    let bytes = 0;
    for (const file of new Set(this.files.values())) bytes += occupied(file);
    return bytes;
  }

  /** Bytes of the segments and large bodies below a folder. */
  bytesIn(folder: string): number {
    let bytes = 0;
    for (const [path, file] of this.files) {
      if (path.startsWith(`${folder}/`) && /\.(seg|body)$/.test(path)) bytes += occupied(file);
    }
    return bytes;
  }

  /** Whether the power is off: every call fails until {@link SimStorage.crash}. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** Loses power: every call fails until {@link SimStorage.crash}. */
  cutPower(): void {
    this.#isDead = true;
  }

  /** Loses power and starts again: what was not synced is decided by chance, and handles of before are dead. */
  crash(): void {
    this.#life++;
    this.#isDead = false;
    this.calls = 0;
    this.#locks.clear();
    for (const { from, to, file, replaced } of this.#renamed.splice(0).reverse()) {
      if (this.files.get(to) !== file || this.#random() < 0.5) continue;
      this.files.set(from, file);
      if (replaced) this.files.set(to, replaced);
      else this.files.delete(to);
    }
    for (const [path, file] of this.#removed) {
      if (!this.files.has(path) && this.#random() < 0.5) this.files.set(path, file);
    }
    this.#removed.clear();
    for (const file of new Set(this.files.values())) {
      for (const change of file.unsynced) {
        const kept = this.#random();
        if (kept < 0.3) continue;
        if (kept > 0.6 || change.kind === "truncate") file.durable = applied(file.durable, change);
        else {
          const torn = change.bytes.subarray(0, Math.floor(this.#random() * change.bytes.length));
          file.durable = applied(file.durable, { ...change, bytes: torn });
        }
      }
      file.unsynced = [];
      file.content = file.durable;
    }
  }

  list(folder: string): Promise<StorageEntry[]> {
    return this.call("list", folder, () => {
      if (!this.folders.has(folder)) throw missing(folder);
      const entries: StorageEntry[] = [];
      for (const [path, file] of this.files) {
        if (parentOf(path) !== folder) continue;
        const sizes = { bytes: file.content.length, occupied: occupied(file) };
        entries.push({ name: path.slice(folder.length + 1), isFolder: false, ...sizes });
      }
      for (const path of this.folders) {
        if (parentOf(path) === folder) {
          entries.push({ name: path.slice(folder.length + 1), isFolder: true, bytes: 0, occupied: 0 });
        }
      }
      return entries;
    });
  }

  ensureFolder(folder: string): Promise<void> {
    return this.call("ensureFolder", folder, () => {
      for (let path = folder; path !== ""; path = parentOf(path)) {
        if (this.files.has(path)) throw new StorageError("exists", `${path} is a file`);
        this.folders.add(path);
      }
    });
  }

  open(path: string, mode: StorageOpenMode): Promise<StorageFile> {
    return this.call("open", path, () => {
      const existing = this.files.get(path);
      if (mode === "read") {
        if (!existing) throw missing(path);
        return new Handle(this, path, existing);
      }
      if (existing) throw new StorageError("exists", `${path} exists`);
      if (!this.folders.has(parentOf(path))) throw missing(path);
      const [content, durable] = [new Uint8Array(0), new Uint8Array(0)];
      const sparse = mode === "create_sparse" ? { written: new Set<number>() } : {};
      const file: SimFile = { content, durable, unsynced: [], ...sparse };
      this.files.set(path, file);
      this.#syncFolder(path);
      return new Handle(this, path, file);
    });
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.call("readFile", path, () => {
      const file = this.files.get(path);
      if (!file) throw missing(path);
      return file.content.slice();
    });
  }

  async replaceFile(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = `${path}.tmp`;
    await this.call("replaceFile.write", path, () => {
      if (!this.folders.has(parentOf(path))) throw missing(path);
      if (this.bytes + bytes.length > this.capacity) throw full(path);
      const half = bytes.slice(0, bytes.length >> 1);
      this.files.set(temporary, { content: half, durable: half, unsynced: [] });
    });
    await this.call("replaceFile.rename", path, () => {
      this.files.delete(temporary);
      this.files.set(path, { content: bytes.slice(), durable: bytes.slice(), unsynced: [] });
      this.#syncFolder(path);
    });
  }

  remove(path: string): Promise<void> {
    return this.call("remove", path, () => {
      const file = this.files.get(path);
      if (!file) throw missing(path);
      this.files.delete(path);
      this.#removed.set(path, file);
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.call("rename", from, () => {
      const file = this.files.get(from);
      if (!file || !this.folders.has(parentOf(to))) throw missing(from);
      this.#renamed.push({ from, to, file, replaced: this.files.get(to) ?? null });
      this.files.delete(from);
      this.files.set(to, file);
    });
    await this.call("rename.sync", from, () => {
      this.#syncFolder(from);
      this.#syncFolder(to);
    });
  }

  link(from: string, to: string): Promise<void> {
    return this.call("link", from, () => {
      const file = this.files.get(from);
      if (!file || !this.folders.has(parentOf(to))) throw missing(from);
      if (this.files.has(to)) throw new StorageError("exists", `${to} exists`);
      this.files.set(to, file);
      this.#syncFolder(to);
    });
  }

  removeFolder(folder: string): Promise<void> {
    return this.call("removeFolder", folder, () => {
      const isInside = (path: string): boolean => parentOf(path) === folder;
      if ([...this.files.keys(), ...this.folders].some(isInside)) {
        throw new StorageError("io", `${folder} is not empty`);
      }
      if (!this.folders.delete(folder)) throw missing(folder);
      for (const path of this.#removed.keys()) if (isInside(path)) this.#removed.delete(path);
    });
  }

  freeBytes(folder: string): Promise<number> {
    return this.call("freeBytes", folder, () => this.capacity - this.bytes);
  }

  lock(path: string): Promise<StorageLock | string> {
    return this.call("lock", path, () => {
      if (this.#locks.has(path)) return "process 1";
      this.#locks.add(path);
      return { release: () => void this.#locks.delete(path) };
    });
  }

  /** Makes a call: applies faults and the power, and lets other work run first. */
  async call<T>(name: string, path: string, effect: () => T): Promise<T> {
    try {
      return await this.#call(name, path, effect);
    } catch (error) {
      if (error instanceof StorageError && (error.kind === "io" || error.kind === "no_space")) {
        this.failures++;
      }
      throw error;
    }
  }

  async #call<T>(name: string, path: string, effect: () => T): Promise<T> {
    const life = this.#life;
    for (let turns = Math.floor(this.#random() * 4); turns >= 0; turns--) await Promise.resolve();
    if (this.#isDead || life !== this.#life) throw new StorageError("io", `${path}: no power`);
    const fault = this.fault({ name, path, index: this.calls++ });
    if (fault === "io" || fault === "no_space") throw new StorageError(fault, `${path}: ${fault}`);
    this.#isDead = fault !== null;
    if (fault === "power_loss_before") throw new StorageError("io", `${path}: no power`);
    const result = effect();
    if (this.#isDead) throw new StorageError("io", `${path}: no power`);
    return result;
  }

  /** Bytes of a write that go through: all, or by chance fewer. */
  accept(bytes: number): number {
    if (!this.#shortWrites || bytes < 2 || this.#random() < 0.5) return bytes;
    return 1 + Math.floor(this.#random() * (bytes - 1));
  }

  get life(): number {
    return this.#life;
  }

  #syncFolder(path: string): void {
    const folder = parentOf(path);
    for (const removed of this.#removed.keys()) {
      if (parentOf(removed) === folder) this.#removed.delete(removed);
    }
    this.#renamed = this.#renamed.filter(({ to }) => parentOf(to) !== folder);
  }
}

class Handle implements StorageFile {
  readonly #life: number;

  constructor(readonly storage: SimStorage, readonly path: string, readonly file: SimFile) {
    this.#life = storage.life;
  }

  size(): Promise<number> {
    return this.#call("size", () => this.file.content.length);
  }

  write(chunks: readonly Uint8Array[], position: number): Promise<number> {
    return this.#call("write", () => {
      const all = concat(chunks);
      const growth = Math.max(0, position + all.length - Math.max(position, this.file.content.length));
      const room = this.storage.capacity - this.storage.bytes;
      let accepted = this.storage.accept(all.length);
      if (growth > room) accepted = Math.min(accepted, all.length - (growth - room));
      if (accepted <= 0) throw full(this.path);
      this.#change({ kind: "write", position, bytes: all.subarray(0, accepted) });
      return accepted;
    });
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#call("read", () => {
      const found = this.file.content.subarray(position, position + this.storage.accept(into.length));
      into.set(found);
      return found.length;
    });
  }

  async sync(): Promise<void> {
    try {
      await this.#call("sync", () => {
        if (this.storage.files.get(this.path) !== this.file) throw missing(this.path);
        this.file.durable = this.file.unsynced.reduce(applied, this.file.durable);
        this.file.unsynced = [];
      });
    } catch (error) {
      if (!this.storage.isDead) this.file.unsynced = [];
      throw error;
    }
  }

  occupied(): Promise<number> {
    return this.#call("occupied", () => occupied(this.file));
  }

  truncate(bytes: number): Promise<void> {
    return this.#call("truncate", () => this.#change({ kind: "truncate", bytes }));
  }

  close(): void {}

  #change(change: Change): void {
    this.file.content = applied(this.file.content, change);
    this.file.unsynced.push(change);
    if (!this.file.written || change.kind === "truncate") return;
    const end = change.position + change.bytes.length;
    for (let block = Math.floor(change.position / SIM_BLOCK_BYTES); block * SIM_BLOCK_BYTES < end; block++) {
      this.file.written.add(block);
    }
  }

  #call<T>(name: string, effect: () => T): Promise<T> {
    if (this.#life !== this.storage.life) {
      return Promise.reject(new StorageError("io", `${this.path}: handle of another life`));
    }
    return this.storage.call(name, this.path, effect);
  }
}

function occupied({ content, written }: SimFile): number {
  if (!written) return content.length;
  let bytes = 0;
  for (const block of written) {
    bytes += Math.max(0, Math.min(SIM_BLOCK_BYTES, content.length - block * SIM_BLOCK_BYTES));
  }
  return bytes;
}

function applied(content: Uint8Array, change: Change): Uint8Array {
  if (change.kind === "truncate") {
    const cut = new Uint8Array(change.bytes);
    cut.set(content.subarray(0, change.bytes));
    return cut;
  }
  const { position, bytes } = change;
  const result = new Uint8Array(Math.max(content.length, position + bytes.length));
  result.set(content);
  result.set(bytes, position);
  return result;
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function missing(path: string): StorageError {
  return new StorageError("not_found", `${path}: not found`);
}

function full(path: string): StorageError {
  return new StorageError("no_space", `${path}: no space`);
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}
