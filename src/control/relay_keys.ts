/**
 * Public keys of the relays that ask this node (control reference, sections 3 and 4).
 *
 * Those of `auth.static_relays` are known; all others are asked for upstream, several at a time. Known ones are believed
 * for `expiryMs`, unknown ones not asked for again for `missExpiryMs`.
 *
 * Limits: {@link RELAYS_MAX} relays remembered, and as many waited for; the one asked about longest ago goes first.
 */
import type { Clock } from "../core/clock.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { KeyError, PublicKey } from "../protocol/signature.ts";
import { type QueryClient, QueryError } from "../upstream/query_client.ts";

/** A relay that may ask. */
export interface KnownRelay {
  readonly publicKey: PublicKey;
  /** Whether it may have everything. */
  readonly internal: boolean;
}

const RELAYS_MAX = 10_000;
const BATCH_MAX = 500;

interface Remembered {
  readonly relay: KnownRelay | null;
  readonly expiresMs: number;
}

type Waiting = PromiseWithResolvers<KnownRelay | null>;

/** Options of {@link RelayKeys}; times in milliseconds, read at use. */
export interface RelayKeysOptions {
  /** By id. */
  readonly statics: ReadonlyMap<string, KnownRelay>;
  readonly queries: Pick<QueryClient, "ask">;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly expiryMs: number;
  readonly missExpiryMs: number;
  readonly batchIntervalMs: number;
}

/** The upstream could not say whether it knows a relay. */
export class RelayLookupError extends Error {
  override readonly name = "RelayLookupError";
}

/** Finds relays by id. */
export class RelayKeys {
  readonly #o: RelayKeysOptions;
  readonly #remembered = new Map<string, Remembered>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #stop = new AbortController();
  #asking: Promise<void> | null = null;

  constructor(options: RelayKeysOptions) {
    this.#o = options;
  }

  /**
   * The relay with this id, or null when nobody knows it.
   *
   * @throws {RelayLookupError}
   */
  async find(id: string): Promise<KnownRelay | null> {
    const known = this.#o.statics.get(id);
    if (known) return known;
    const remembered = this.#remembered.get(id);
    if (remembered && remembered.expiresMs > this.#o.clock.monotonic()) return remembered.relay;
    const waiting = this.#waiting.get(id);
    if (waiting) return await waiting.promise;
    if (this.#waiting.size >= RELAYS_MAX || this.#stop.signal.aborted) {
      throw new RelayLookupError("overloaded");
    }
    const found: Waiting = Promise.withResolvers();
    this.#waiting.set(id, found);
    this.#asking ??= this.#ask().finally(() => this.#asking = null);
    return await found.promise;
  }

  /** Gives up what is under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#asking;
  }

  async #ask(): Promise<void> {
    while (this.#waiting.size > 0) {
      await this.#o.clock.sleep(this.#o.batchIntervalMs, this.#stop.signal);
      await this.#askFor([...this.#waiting.keys()].slice(0, BATCH_MAX));
    }
  }

  async #askFor(ids: readonly string[]): Promise<void> {
    try {
      const { value } = await this.#o.queries.ask("public_keys", { relay_ids: ids }, this.#stop.signal);
      for (const id of ids) this.#found(id, readRelay(value, id));
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      for (const id of ids) this.#take(id)?.reject(new RelayLookupError(error.message));
    }
  }

  #found(id: string, relay: KnownRelay | null): void {
    const { clock, expiryMs, missExpiryMs } = this.#o;
    const expiresMs = clock.monotonic() + (relay ? expiryMs : missExpiryMs);
    this.#remembered.delete(id);
    this.#remembered.set(id, { relay, expiresMs });
    if (this.#remembered.size > RELAYS_MAX) this.#remembered.delete(this.#remembered.keys().next().value!);
    this.#o.metrics.set(METRICS.relaysKnown, this.#remembered.size);
    this.#take(id)?.resolve(relay);
  }

  #take(id: string): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}

/** What an answer says of a relay, in the form of today or the one before it; null for a relay nobody knows. */
export function readRelay(answer: unknown, id: string): KnownRelay | null {
  const { relays, public_keys: legacy } = (answer ?? {}) as Record<
    string,
    Record<string, unknown> | undefined
  >;
  const found = relays?.[id] ?? legacy?.[id];
  const [key, internal] = typeof found === "string" ? [found, false] : [
    (found as { publicKey?: unknown } | null | undefined)?.publicKey,
    (found as { internal?: unknown } | null)?.internal,
  ];
  if (typeof key !== "string") return null;
  try {
    return { publicKey: PublicKey.parse(key), internal: internal === true };
  } catch (error) {
    if (error instanceof KeyError) return null;
    throw error;
  }
}
