/**
 * What the control plane knows of projects, by public key (control reference, section 4).
 *
 * Life of a key: wanted by a lane (a miss), asked for, known. A state is fresh for `expiryMs`; after that it is stale, is
 * used on, and the next lane that uses it has it fetched again. `graceMs` later it is forgotten, if the upstream has
 * answered anything since it became stale: an outage of the upstream makes no node forget its projects. A state that
 * was kept on disk over a restart starts out stale. An answer `pending` and a document that cannot be read leave a
 * usable state in place. Keys without a project are kept like any other, so that they are not asked for again and again.
 *
 * Limits: `projectsMax` keys. When there are more, the one that was wanted or fetched longest ago goes, keys without a
 * project first: whoever sends made-up keys displaces made-up keys, and at most {@link OTHERS_SHARE} of the projects.
 *
 * Nothing here knows a clock, a socket or a disk. Changes are collected for the lanes and taken by {@link takeChanges}.
 */
import { Backoff } from "../core/backoff.ts";
import {
  DISABLED_STATE,
  DocumentError,
  type FetchedDocument,
  fetchedDocument,
  fetchedState,
} from "./fetched_state.ts";
import type { ProjectAnswer } from "./project_answer.ts";
import type { ProjectState } from "./project_state.ts";
import type { ProjectChanges } from "./project_table.ts";

/** Share of the cache that keys without a project may have when it is full; new projects start among them. */
const OTHERS_SHARE = 0.1;

/** Options of {@link ProjectCache}; times in milliseconds. Numbers are read at use, and may change. */
export interface ProjectCacheOptions {
  readonly expiryMs: number;
  readonly graceMs: number;
  /** Age at which a project is fetched again without being asked for; null for never. */
  readonly refreshMs: number | null;
  readonly projectsMax: number;
  /** Ceiling of the pause before a pending key is asked for again. */
  readonly retryMsMax: number;
  readonly random?: () => number;
  /** State according to a document; default {@link fetchedState}. */
  readonly stateOf?: (key: string, raw: unknown) => ProjectState;
}

/** How the upstream answered for a key. */
export type FetchResult = "ok" | "unchanged" | "disabled" | "pending" | "invalid" | "failed";

/** A state that is known. */
export interface KnownProject {
  readonly key: string;
  readonly state: ProjectState;
  /** Null for a key without a project. */
  readonly document: FetchedDocument | null;
}

interface Entry {
  readonly key: string;
  known: KnownProject | null;
  /** Monotonic. */
  fetchedMs: number;
  wantedMs: number;
  isStale: boolean;
  fetch: "idle" | "queued" | "asked";
  backoff: Backoff | null;
}

/** Numbers for metrics. */
export interface CacheCounts {
  readonly enabled: number;
  readonly disabled: number;
  readonly pending: number;
}

/** The cache. Times handed in are monotonic milliseconds. */
export class ProjectCache {
  readonly #o: ProjectCacheOptions;
  readonly #stateOf: NonNullable<ProjectCacheOptions["stateOf"]>;
  /** Entries with an enabled project, and all others; what was fetched or wanted last stands last. */
  readonly #enabled = new Map<string, Entry>();
  readonly #others = new Map<string, Entry>();
  /** Keys to ask for, with the moment from which on; those nobody knows anything of first. */
  readonly #missing = new Map<string, number>();
  readonly #refreshing = new Map<string, number>();
  #lastAnswerMs = -Infinity;
  #changed = new Map<string, ProjectState | null>();
  #stale = new Set<string>();
  #evicted = { expired: 0, full: 0 };

  constructor(options: ProjectCacheOptions) {
    this.#o = options;
    this.#stateOf = options.stateOf ?? fetchedState;
  }

  /** Lanes need these keys: they do not know them, or hold a stale state. */
  want(keys: Iterable<string>, nowMs: number): void {
    for (const key of keys) {
      const entry = this.#entry(key) ?? this.#add(key, nowMs);
      entry.wantedMs = nowMs;
      const isFresh = entry.known !== null && nowMs - entry.fetchedMs < this.#o.expiryMs;
      // A half that wants what is fresh has missed it, while it started for instance.
      if (entry.known !== null) this.#changed.set(key, entry.known.state);
      if (isFresh) continue;
      if (entry.fetch === "idle") this.#queue(entry, nowMs);
      this.#toEnd(entry);
    }
    this.#makeRoom();
  }

  /** Earliest moment at which there is something to ask for; Infinity when there is nothing. */
  get nextDueMs(): number {
    let next = Infinity;
    for (const dueMs of this.#missing.values()) next = Math.min(next, dueMs);
    for (const dueMs of this.#refreshing.values()) next = Math.min(next, dueMs);
    return next;
  }

  /** Keys to ask for now, at most `count`. Each has to be handed to {@link answered} or {@link failed}. */
  take(count: number, nowMs: number): { readonly key: string; readonly revision: string | null }[] {
    const taken: { key: string; revision: string | null }[] = [];
    for (const queue of [this.#missing, this.#refreshing]) {
      for (const [key, dueMs] of queue) {
        if (taken.length >= count) return taken;
        if (dueMs > nowMs) continue;
        queue.delete(key);
        const entry = this.#entry(key)!;
        entry.fetch = "asked";
        taken.push({ key, revision: entry.known?.document?.revision ?? null });
      }
    }
    return taken;
  }

  /** The upstream answered for these keys. */
  answered(keys: Iterable<string>, answer: ProjectAnswer, nowMs: number): FetchResult[] {
    this.#lastAnswerMs = nowMs;
    const results: FetchResult[] = [];
    for (const key of keys) {
      const entry = this.#entry(key);
      // Forgotten meanwhile, to make room.
      if (entry?.fetch === "asked") results.push(this.#answer(entry, answer, nowMs));
    }
    return results;
  }

  /** The question for these keys got no answer. */
  failed(keys: Iterable<string>, nowMs: number): void {
    for (const key of keys) {
      const entry = this.#entry(key);
      if (entry?.fetch === "asked") this.#queue(entry, nowMs);
    }
  }

  /** Marks what has become stale, forgets what is too old, and queues what is refreshed without being asked for. */
  sweep(nowMs: number): void {
    for (const entries of [this.#enabled, this.#others]) {
      for (const entry of entries.values()) {
        // What follows is as fresh or fresher, or on its way.
        if (entry.known !== null && this.#isYoung(entry, nowMs)) break;
        this.#age(entry, nowMs);
      }
    }
  }

  /** What the lanes have to be told since the last call; null when nothing. */
  takeChanges(): ProjectChanges | null {
    if (this.#changed.size === 0 && this.#stale.size === 0) return null;
    const states: [string, ProjectState][] = [];
    const removed: string[] = [];
    for (const [key, state] of this.#changed) {
      if (state === null) removed.push(key);
      else states.push([key, state]);
    }
    const changes = { states, removed, stale: [...this.#stale] };
    this.#changed = new Map();
    this.#stale = new Set();
    return changes;
  }

  /** Everything the lanes need to know, for one that starts. */
  get states(): (readonly [key: string, state: ProjectState])[] {
    return [...this.known()].map(({ key, state }) => [key, state] as const);
  }

  /** Keys whose states are stale, for a lane that starts. */
  get staleKeys(): string[] {
    const entries = [...this.#enabled.values(), ...this.#others.values()];
    return entries.filter(({ known, isStale }) => known !== null && isStale).map(({ key }) => key);
  }

  /** What is known of a key; null when it has to be fetched first. */
  lookup(key: string): KnownProject | null {
    return this.#entry(key)?.known ?? null;
  }

  /** Whether what is known of a key has to be fetched again when it is used. */
  isStale(key: string): boolean {
    return this.#entry(key)?.isStale ?? false;
  }

  /** Everything that is known. */
  *known(): Generator<KnownProject> {
    for (const { known } of this.#enabled.values()) yield known!;
    for (const { known } of this.#others.values()) if (known !== null) yield known;
  }

  /** Takes over what an earlier run has kept; it is stale. Documents that cannot be read are left out. */
  restore(kept: Iterable<{ readonly key: string; readonly raw: unknown }>, nowMs: number): number {
    let invalid = 0;
    for (const { key, raw } of kept) {
      const known = raw === null ? { key, state: DISABLED_STATE, document: null } : this.#read(key, raw);
      if (known === null) invalid++;
      else this.#keep(this.#add(key, nowMs), known, nowMs - this.#o.expiryMs);
    }
    this.#makeRoom();
    return invalid;
  }

  get counts(): CacheCounts {
    let pending = 0;
    for (const { known } of this.#others.values()) if (known === null) pending++;
    return { enabled: this.#enabled.size, disabled: this.#others.size - pending, pending };
  }

  /** States forgotten since the last call, by reason. */
  takeEvicted(): { readonly expired: number; readonly full: number } {
    const evicted = this.#evicted;
    this.#evicted = { expired: 0, full: 0 };
    return evicted;
  }

  #entry(key: string): Entry | undefined {
    return this.#enabled.get(key) ?? this.#others.get(key);
  }

  #add(key: string, nowMs: number): Entry {
    const entry: Entry = {
      key,
      known: null,
      fetchedMs: -Infinity,
      wantedMs: nowMs,
      isStale: false,
      fetch: "idle",
      backoff: null,
    };
    this.#others.set(key, entry);
    return entry;
  }

  #answer(entry: Entry, answer: ProjectAnswer, nowMs: number): FetchResult {
    const { key } = entry;
    if (answer.unchanged.has(key) && entry.known !== null) {
      this.#keep(entry, entry.known, nowMs);
      return "unchanged";
    }
    if (answer.pending.has(key) || answer.unchanged.has(key)) {
      if (entry.known !== null && this.#isPastGrace(entry, nowMs)) this.#forgetState(entry);
      this.#queueAgain(entry, nowMs);
      return "pending";
    }
    const raw = answer.configs[key] ?? null;
    const known = raw === null ? { key, state: DISABLED_STATE, document: null } : this.#read(key, raw);
    if (known === null) {
      this.#queueAgain(entry, nowMs);
      return "invalid";
    }
    this.#keep(entry, known, nowMs);
    return known.state.disabled ? "disabled" : "ok";
  }

  #read(key: string, raw: unknown): KnownProject | null {
    try {
      return { key, document: fetchedDocument(raw), state: this.#stateOf(key, raw) };
    } catch (error) {
      if (error instanceof DocumentError) return null;
      throw error;
    }
  }

  #keep(entry: Entry, known: KnownProject, fetchedMs: number): void {
    if (entry.known !== known || entry.isStale) this.#changed.set(entry.key, known.state);
    entry.known = known;
    entry.fetchedMs = fetchedMs;
    entry.isStale = false;
    entry.fetch = "idle";
    entry.backoff = null;
    this.#stale.delete(entry.key);
    this.#toEnd(entry);
  }

  #queue(entry: Entry, dueMs: number): void {
    entry.fetch = "queued";
    (entry.known === null ? this.#missing : this.#refreshing).set(entry.key, dueMs);
  }

  #queueAgain(entry: Entry, nowMs: number): void {
    const { retryMsMax, random } = this.#o;
    entry.backoff ??= new Backoff({
      baseMs: 1000,
      factor: 1.5,
      maxMs: retryMsMax,
      startsAtOnce: true,
      ...random && { random },
    });
    this.#queue(entry, nowMs + entry.backoff.next());
  }

  #isYoung(entry: Entry, nowMs: number): boolean {
    const { expiryMs, refreshMs } = this.#o;
    return nowMs - entry.fetchedMs < Math.min(expiryMs, refreshMs ?? Infinity);
  }

  #isPastGrace({ fetchedMs }: Entry, nowMs: number): boolean {
    const { expiryMs, graceMs } = this.#o;
    return nowMs - fetchedMs >= expiryMs + graceMs && this.#lastAnswerMs >= fetchedMs + expiryMs;
  }

  #age(entry: Entry, nowMs: number): void {
    const { expiryMs, graceMs, refreshMs } = this.#o;
    if (entry.known === null) {
      if (nowMs - entry.wantedMs >= expiryMs + graceMs && entry.fetch !== "asked") {
        this.#remove(entry, "expired");
      }
      return;
    }
    if (entry.fetch === "idle" && this.#isPastGrace(entry, nowMs)) return this.#remove(entry, "expired");
    const ageMs = nowMs - entry.fetchedMs;
    if (ageMs >= expiryMs && !entry.isStale) {
      entry.isStale = true;
      this.#stale.add(entry.key);
    }
    if (refreshMs !== null && ageMs >= refreshMs && entry.fetch === "idle") this.#queue(entry, nowMs);
  }

  #forgetState(entry: Entry): void {
    this.#enabled.delete(entry.key);
    entry.known = null;
    entry.isStale = false;
    this.#others.set(entry.key, entry);
    this.#stale.delete(entry.key);
    this.#changed.set(entry.key, null);
    this.#evicted = { ...this.#evicted, expired: this.#evicted.expired + 1 };
  }

  #remove(entry: Entry, reason: "expired" | "full"): void {
    const { key } = entry;
    for (const map of [this.#enabled, this.#others, this.#missing, this.#refreshing]) map.delete(key);
    this.#stale.delete(key);
    if (entry.known === null) return;
    this.#changed.set(key, null);
    this.#evicted = { ...this.#evicted, [reason]: this.#evicted[reason] + 1 };
  }

  #toEnd(entry: Entry): void {
    this.#enabled.delete(entry.key);
    this.#others.delete(entry.key);
    const isEnabled = entry.known !== null && !entry.known.state.disabled;
    (isEnabled ? this.#enabled : this.#others).set(entry.key, entry);
  }

  #makeRoom(): void {
    const { projectsMax } = this.#o;
    const othersMin = Math.max(1, projectsMax * OTHERS_SHARE);
    while (this.#enabled.size + this.#others.size > projectsMax) {
      const from = this.#others.size > othersMin || this.#enabled.size === 0 ? this.#others : this.#enabled;
      const [oldest] = from.values();
      this.#remove(oldest!, "full");
    }
  }
}
