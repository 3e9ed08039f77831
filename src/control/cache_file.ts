/**
 * What a managed node knows of projects, kept on disk: a restart during an outage of the upstream forgets nothing.
 *
 * Layout: one line per fact, `<crc32 of the JSON, 8 hex digits> <JSON>`. The first line says what the file is and for
 * which upstream and identity; a file of another one, or of another version, is not read. A damaged line costs that
 * project alone. The file is replaced as a whole, so a crash leaves the old one or the new one.
 *
 * Limits: as many projects as the cache holds. After a write the next one waits at least {@link PAUSE_FACTOR} times as
 * long as that one took, so that a large cache does not keep disk and processor busy.
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import { crc32Of } from "../spool/crc32.ts";
import { type Storage, StorageError } from "../spool/storage.ts";
import { logger } from "../telemetry/log.ts";

const log = logger("projects");

const VERSION = 1;
const PAUSE_MS_MIN = 1000;
const PAUSE_FACTOR = 50;

/** Whose knowledge a file holds. */
export interface CacheOwner {
  readonly upstream: string;
  readonly relayId: string;
}

/** Where it lies, beside the spool at `spool`. */
export function cachePathOf(spool: string): string {
  return `${spool}/projects.cache`;
}

/** What a file holds. */
export interface KeptProjects {
  /** `raw`: document as received; null for a key without a project. */
  readonly projects: readonly { readonly key: string; readonly raw: unknown }[];
  /** Global configuration as received; null when there was none. */
  readonly global: unknown;
  /** Lines that could not be read. */
  readonly damaged: number;
}

/** Something to keep; documents are JSON texts. */
export interface ProjectsToKeep {
  readonly projects: Iterable<{ readonly key: string; readonly text: string | null }>;
  readonly global: unknown;
}

const NOTHING_KEPT: KeptProjects = { projects: [], global: null, damaged: 0 };

/** Reads what was kept; nothing when there is no file, or one that belongs to another upstream or identity. */
export async function readCacheFile(
  storage: Storage,
  path: string,
  owner: CacheOwner,
): Promise<KeptProjects> {
  let text: string;
  try {
    text = fromUtf8(await storage.readFile(path));
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (error.kind !== "not_found") log.warn("kept project states cannot be read: {error}", { error });
    return NOTHING_KEPT;
  }
  const lines = text.split("\n").filter((line) => line !== "");
  const head = parseLine(lines[0] ?? "");
  if (head?.version !== VERSION || head.upstream !== owner.upstream || head.relayId !== owner.relayId) {
    log.info("kept project states are of another upstream, identity or version, or damaged: not used");
    return { ...NOTHING_KEPT, damaged: head === null ? 1 : 0 };
  }
  const projects: { key: string; raw: unknown }[] = [];
  let global: unknown = null;
  let damaged = 0;
  for (const line of lines.slice(1)) {
    const fact = parseLine(line);
    if (typeof fact?.key === "string") projects.push({ key: fact.key, raw: fact.document ?? null });
    else if (fact !== null && "global" in fact) global = fact.global;
    else damaged++;
  }
  if (damaged > 0) log.warn("{damaged} kept project states are damaged and were left out", { damaged });
  return { projects, global, damaged };
}

/** Projects rendered in one go; a large cache must not keep the control plane from everything else. */
const SLICE = 500;

/** Text of the file; `pause` is awaited now and then. */
export async function renderCacheFile(
  owner: CacheOwner,
  { projects, global }: ProjectsToKeep,
  pause: () => Promise<void> = () => Promise.resolve(),
): Promise<Uint8Array> {
  const lines = [line(JSON.stringify({ version: VERSION, ...owner }))];
  if (global !== null) lines.push(line(JSON.stringify({ global })));
  for (const { key, text } of projects) {
    lines.push(line(`{"key":${JSON.stringify(key)},"document":${text ?? "null"}}`));
    if (lines.length % SLICE === 0) await pause();
  }
  return utf8(lines.join(""));
}

/** Writes the file when something has changed, and not too often. */
export class CacheWriter {
  readonly #o: {
    readonly storage: Storage;
    readonly clock: Clock;
    readonly path: string;
    readonly render: () => Promise<Uint8Array>;
  };
  #isDirty = false;
  #nextMs = -Infinity;
  #writing: Promise<void> | null = null;
  #isFailing = false;

  constructor(options: { storage: Storage; clock: Clock; path: string; render: () => Promise<Uint8Array> }) {
    this.#o = options;
  }

  /** What is to be kept has changed. */
  changed(): void {
    this.#isDirty = true;
  }

  /** Writes if it is time to; called now and then. */
  tick(): void {
    if (this.#isDirty && !this.#writing && this.#o.clock.monotonic() >= this.#nextMs) void this.#write();
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    await this.#writing;
    if (this.#isDirty) await this.#write();
  }

  #write(): Promise<void> {
    this.#isDirty = false;
    this.#writing = this.#replace().finally(() => this.#writing = null);
    return this.#writing;
  }

  async #replace(): Promise<void> {
    const { storage, clock, path, render } = this.#o;
    const startedMs = clock.monotonic();
    try {
      await storage.replaceFile(path, await render());
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#isDirty = true;
      if (!this.#isFailing) log.warn("project states cannot be kept on disk: {error}", { error });
      this.#isFailing = true;
    }
    const tookMs = clock.monotonic() - startedMs;
    this.#nextMs = clock.monotonic() + Math.max(PAUSE_MS_MIN, tookMs * PAUSE_FACTOR);
  }
}

function line(json: string): string {
  return `${checksum(json)} ${json}\n`;
}

function parseLine(text: string): Record<string, unknown> | null {
  const json = text.slice(9);
  if (text.slice(0, 8) !== checksum(json)) return null;
  return JSON.parse(json);
}

function checksum(json: string): string {
  return crc32Of([utf8(json)]).toString(16).padStart(8, "0");
}
