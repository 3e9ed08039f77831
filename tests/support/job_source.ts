import type { Clock, Timer } from "../../src/core/clock.ts";
import type { RequestMeta } from "../../src/protocol/request_meta.ts";
import type { ForwardJob, ForwardResult, ForwardSource } from "../../src/upstream/forwarder.ts";

/** A record in memory. */
export interface MemoryJob extends ForwardJob {
  readonly name: string;
}

/** Records in memory, with everything that became of them. */
export class JobSource implements ForwardSource<MemoryJob> {
  readonly #clock: Clock;
  readonly #ready: MemoryJob[] = [];
  readonly #retrying = new Set<Timer>();
  #change = Promise.withResolvers<void>();
  /** `name kind` in order. */
  readonly log: string[] = [];
  readonly settled = new Map<string, ForwardResult>();
  readonly dead = new Map<string, ForwardResult>();
  readonly retries: { name: string; delayMs: number; atMs: number }[] = [];
  /** Makes `next` fail. */
  error: Error | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Adds records whose event ids are their names, padded. */
  add(names: readonly string[], job: Partial<ForwardJob> = {}): void {
    for (const name of names) {
      const eventId = eventIdOf(name);
      const body = new TextEncoder().encode(`{"event_id":"${eventId}"}\n{"type":"event","length":2}\n{}\n`);
      const meta = metaOf(eventId);
      this.#ready.push({
        name,
        meta,
        receivedMs: this.#clock.monotonic(),
        attempts: 0,
        serverErrors: 0,
        body,
        stream: null,
        ...job,
      });
    }
    this.#changed();
  }

  /** Records nobody has taken. */
  get waiting(): number {
    return this.#ready.length;
  }

  /** Resolves when so many records have reached their end. */
  async ended(count: number): Promise<void> {
    while (this.settled.size + this.dead.size < count) await this.#change.promise;
  }

  next(): MemoryJob | null {
    if (this.error) throw this.error;
    return this.#ready.shift() ?? null;
  }

  async wait(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#changed();
    signal.addEventListener("abort", stop);
    while (this.#ready.length === 0 && !signal.aborted) await this.#change.promise;
    signal.removeEventListener("abort", stop);
  }

  settle(job: MemoryJob, result: ForwardResult): void {
    this.settled.set(job.name, result);
    this.#note(job, result.kind);
  }

  lost(job: MemoryJob): void {
    this.#note(job, "lost");
  }

  retryLater(job: MemoryJob, delayMs: number, result: ForwardResult): void {
    this.retries.push({ name: job.name, delayMs, atMs: this.#clock.monotonic() });
    this.#note(job, `retry ${result.kind}`);
    const serverErrors = job.serverErrors + (result.kind === "server_error" ? 1 : 0);
    const timer = this.#clock.after(delayMs, () => {
      this.#retrying.delete(timer);
      this.#ready.push({ ...job, attempts: job.attempts + 1, serverErrors });
      this.#changed();
    });
    this.#retrying.add(timer);
  }

  /** Forgets the records that wait for another try. */
  close(): void {
    for (const timer of this.#retrying) timer.cancel();
  }

  /** Records that wait for an upstream. */
  readonly #postponed = new Map<string, MemoryJob[]>();

  postpone(job: MemoryJob, upstream: string): void {
    this.#note(job, `postponed ${upstream}`);
    const jobs = this.#postponed.get(upstream) ?? [];
    this.#postponed.set(upstream, [...jobs, job]);
  }

  resume(upstream: string): boolean {
    const [job, ...rest] = this.#postponed.get(upstream) ?? [];
    if (!job) return false;
    this.#postponed.set(upstream, rest);
    this.#ready.push(job);
    this.#changed();
    return rest.length > 0;
  }

  deadLetter(job: MemoryJob, result: ForwardResult): void {
    this.dead.set(job.name, result);
    this.#note(job, `dead ${result.kind}`);
  }

  #note(job: MemoryJob, what: string): void {
    this.log.push(`${job.name} ${what}`);
    this.#changed();
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}

/** Event id of a record with a short name of letters and digits. */
export function eventIdOf(name: string): string {
  return [...new TextEncoder().encode(name)].map((byte) => byte.toString(16)).join("").padStart(32, "0");
}

function metaOf(eventId: string): RequestMeta {
  return {
    projectId: "1",
    key: "9ec79c33ec9942ab8353589fcb2e04dc",
    version: 7,
    client: "test/1",
    origin: null,
    remoteAddr: "127.0.0.1",
    forwardedFor: "127.0.0.1",
    userAgent: null,
    noCache: false,
    contentEncoding: "",
    eventId,
    clientHints: null,
    quantities: [["error", 1]],
    passthrough: null,
  };
}
