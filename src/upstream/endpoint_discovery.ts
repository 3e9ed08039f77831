/**
 * Which endpoints an upstream has: a list whose entries are addresses or DNS names, or a file with such a list.
 *
 * Every entry is asked again in intervals (with jitter, so that nodes do not march in step). **The last good answer
 * counts** until there is a new one: names that cannot be resolved for a while, an empty answer or a file that is half
 * written change nothing. So discovery can fail for days without an endpoint being lost.
 */
import type { Clock } from "../core/clock.ts";
import { logger } from "../telemetry/log.ts";
import type { DnsResolver } from "./dns_resolver.ts";

const log = logger("upstream");

const JITTER = 0.2;
/** Services of weight 0 are meant for when there is nothing better. */
const WEIGHT_MIN = 0.01;
/** Answers that are never waited for longer. */
const ANSWER_MS_MAX = 10_000;

/** An entry of an upstream's list. For `srv`, `port` means nothing. */
export interface EndpointEntry {
  readonly kind: "address" | "a" | "aaaa" | "srv";
  /** Name or address; no brackets. */
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** An endpoint that was found. */
export interface FoundEndpoint {
  /** `host:port`. */
  readonly id: string;
  readonly hostname: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Options of {@link EndpointDiscovery}. */
export interface DiscoveryOptions {
  readonly upstream: string;
  readonly entries: readonly EndpointEntry[];
  /** Reads the list anew when it is kept in a file; throws when it cannot be used. */
  readonly readEntries: (() => readonly EndpointEntry[]) | null;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly resolver: DnsResolver;
  readonly random?: () => number;
  /** {@link EndpointDiscovery.endpoints} changed. */
  onChange(): void;
}

/** Finds the endpoints of one upstream. */
export class EndpointDiscovery {
  readonly #o: DiscoveryOptions;
  readonly #stop = new AbortController();
  #entries: readonly EndpointEntry[];
  /** Last good answers, by entry. */
  readonly #answers = new Map<string, readonly FoundEndpoint[]>();
  #endpoints: readonly FoundEndpoint[] = [];
  #shown = "[]";
  readonly #failing = new Set<string>();

  constructor(options: DiscoveryOptions) {
    this.#o = options;
    this.#entries = options.entries;
    this.#publish();
  }

  /** In a stable order, each id once. */
  get endpoints(): readonly FoundEndpoint[] {
    return this.#endpoints;
  }

  /** Looks once, then goes on in intervals; resolves after the first look. */
  async start(): Promise<void> {
    await this.refresh();
    if (this.#o.readEntries !== null || this.#entries.some(({ kind }) => kind !== "address")) {
      void this.#repeat();
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Asks everything anew. */
  async refresh(): Promise<void> {
    this.#read();
    await Promise.all(this.#entries.filter(({ kind }) => kind !== "address").map((e) => this.#resolve(e)));
    if (this.#stop.signal.aborted) return;
    if (this.#publish()) this.#o.onChange();
  }

  async #repeat(): Promise<void> {
    const { clock, intervalMs, random = Math.random } = this.#o;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await clock.sleep(intervalMs * (1 - JITTER * random()), signal);
      if (!signal.aborted) await this.refresh();
    }
  }

  #read(): void {
    if (this.#o.readEntries === null) return;
    try {
      this.#entries = this.#o.readEntries();
      this.#recovered("file");
    } catch (error) {
      this.#failed("file", "the list of endpoints cannot be read", error);
    }
  }

  async #resolve(entry: EndpointEntry): Promise<void> {
    const key = keyOf(entry);
    try {
      const found = await this.#within(this.#ask(entry));
      if (found.length === 0) throw new Error("the answer is empty");
      this.#answers.set(key, found);
      this.#recovered(key);
    } catch (error) {
      this.#failed(key, `"${entry.name}" cannot be resolved`, error);
    }
  }

  async #within(answer: Promise<readonly FoundEndpoint[]>): Promise<readonly FoundEndpoint[]> {
    const late = Promise.withResolvers<never>();
    const timer = this.#o.clock.after(ANSWER_MS_MAX, () => late.reject(new Error("no answer in time")));
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  async #ask(entry: EndpointEntry): Promise<readonly FoundEndpoint[]> {
    const { resolver } = this.#o;
    if (entry.kind !== "srv") {
      const addresses = await resolver.addresses(entry.name, entry.kind === "a" ? "A" : "AAAA");
      return addresses.map((address) => foundAt(address, entry.port, entry));
    }
    const services = await resolver.services(entry.name);
    return services.map(({ target, port, priority, weight }) =>
      foundAt(target.replace(/\.$/, ""), port, {
        priority: entry.priority + priority,
        weight: entry.weight * Math.max(WEIGHT_MIN, weight),
      })
    );
  }

  /** False when nothing changed. */
  #publish(): boolean {
    const found = new Map<string, FoundEndpoint>();
    for (const entry of this.#entries) {
      const endpoints = entry.kind === "address"
        ? [foundAt(entry.name, entry.port, entry)]
        : this.#answers.get(keyOf(entry)) ?? [];
      for (const endpoint of endpoints) if (!found.has(endpoint.id)) found.set(endpoint.id, endpoint);
    }
    this.#endpoints = [...found.values()].sort((a, b) => a.id < b.id ? -1 : 1);
    const shown = JSON.stringify(this.#endpoints);
    const isNew = shown !== this.#shown;
    this.#shown = shown;
    return isNew;
  }

  /** Told once, until it works again. */
  #failed(what: string, message: string, error: unknown): void {
    if (this.#failing.has(what)) return;
    this.#failing.add(what);
    log.warn(`${message}, what was known stays: {error}`, { upstream: this.#o.upstream, error });
  }

  #recovered(what: string): void {
    this.#failing.delete(what);
  }
}

function keyOf({ kind, name, port, priority, weight }: EndpointEntry): string {
  return `${kind} ${name} ${port} ${priority} ${weight}`;
}

function foundAt(
  hostname: string,
  port: number,
  { priority, weight }: { readonly priority: number; readonly weight: number },
): FoundEndpoint {
  const id = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  return { id, hostname, port, priority, weight };
}
