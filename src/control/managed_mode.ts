/**
 * The control plane of mode `managed`: registration, project states and global configuration from the upstream, and the
 * answers to relays downstream.
 *
 * Nothing is forwarded before this node is registered and knows the global configuration, from the upstream or from its
 * disk; records wait. Nothing here is on the way of an envelope: lanes get states and changes to them, and tell which
 * keys they need.
 *
 * Recovery: what is known is kept on disk (cache_file.ts) and read at the start, before the first lane takes anything.
 */
import type { Clock } from "../core/clock.ts";
import { Live } from "../core/live.ts";
import type { Config } from "../config/config.ts";
import type { Credentials } from "../config/schema/credentials.ts";
import { DEFAULT_GLOBAL_CONFIG, type GlobalConfig, readGlobalConfig } from "../projects/global_config.ts";
import { ProjectCache } from "../projects/project_cache.ts";
import type { ProjectChanges } from "../projects/project_table.ts";
import type { ProjectState } from "../projects/project_state.ts";
import type { RelayAnswer, RelayQuestion } from "../protocol/relay_question.ts";
import { PublicKey } from "../protocol/signature.ts";
import type { Storage } from "../spool/storage.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { HttpClient } from "../upstream/http_client.ts";
import { QueryClient } from "../upstream/query_client.ts";
import { Registration, type RegistrationState } from "../upstream/registration.ts";
import { RequestSigner } from "../upstream/request_signer.ts";
import { CacheWriter, readCacheFile, renderCacheFile } from "./cache_file.ts";
import { answerRelay } from "./downstream.ts";
import { type FetchedGlobalConfig, GlobalConfigFetcher } from "./global_config_fetcher.ts";
import { ProjectFetcher } from "./project_fetcher.ts";
import { RelayKeys } from "./relay_keys.ts";

const log = logger("projects");

/** Release of Relay whose protocol is spoken; upstreams refuse what they hold for too old. */
const PROTOCOL_VERSION = "26.4.0";

/** Options of {@link ManagedMode}. */
export interface ManagedModeOptions {
  readonly config: Config;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly metrics: Metrics;
  /** Sends the questions; closed with the rest. */
  readonly client: Pick<HttpClient, "send" | "close">;
  /** File that keeps what is known over a restart. */
  readonly cachePath: string;
  /** Something has changed that the lanes have to know. */
  readonly onChanges: (changes: ProjectChanges) => void;
  readonly onGlobal: (config: GlobalConfig) => void;
  /** Whether records may be forwarded has changed. */
  readonly onHeld: (isHeld: boolean) => void;
}

/** What a managed node knows, and how it comes to know it. */
export class ManagedMode {
  readonly #o: ManagedModeOptions;
  readonly #config: Live<Config>;
  readonly #cache: ProjectCache;
  readonly #queries: QueryClient;
  readonly #registration: Registration;
  readonly #projects: ProjectFetcher;
  readonly #globals: GlobalConfigFetcher;
  readonly #relays: RelayKeys;
  readonly #writer: CacheWriter;
  #global: { readonly config: GlobalConfig; readonly raw: unknown } | null = null;
  #isHeld = true;

  constructor(options: ManagedModeOptions) {
    this.#o = options;
    const { clock, metrics, storage, cachePath, credentials } = options;
    const config = this.#config = new Live(options.config);
    this.#cache = new ProjectCache(config.view(({ cache, http }) => ({
      expiryMs: cache.projectExpiry,
      graceMs: cache.projectGracePeriod,
      refreshMs: refreshMs(cache),
      projectsMax: cache.projectsMax,
      retryMsMax: http.maxRetryInterval,
    })));
    const queries = this.#queries = new QueryClient({
      client: options.client,
      signer: new RequestSigner(credentials, clock),
      metrics,
    });
    const isAllowed = (): boolean => this.#registration.isAuthenticated;
    const intervals = config.view(({ http }) => ({
      intervalMs: http.authInterval,
      retryIntervalMsMax: http.maxRetryInterval,
    }));
    this.#registration = new Registration(Object.assign(intervals, {
      queries,
      relayId: credentials.id,
      publicKey: credentials.publicKey,
      version: PROTOCOL_VERSION,
      clock,
      onChange: () => this.#registrationChanged(),
    }));
    const fetching = config.view(({ cache, http, limits }) => ({
      batchIntervalMs: cache.batchInterval,
      batchSize: cache.batchSize,
      requestsMax: limits.maxConcurrentQueries,
      fullConfig: cache.projectRequestFullConfig,
      retryIntervalMsMax: http.maxRetryInterval,
      failureIntervalMs: http.projectFailureInterval,
    }));
    this.#projects = new ProjectFetcher(Object.assign(fetching, {
      cache: this.#cache,
      queries,
      clock,
      metrics,
      isAllowed,
      onChange: () => this.#publish(),
    }));
    const globalFetching = config.view(({ cache }) => ({ intervalMs: cache.globalConfigFetchInterval }));
    this.#globals = new GlobalConfigFetcher(Object.assign(globalFetching, {
      queries,
      clock,
      isAllowed,
      onChange: (fetched: FetchedGlobalConfig) => this.#takeGlobal(fetched),
    }));
    const remembering = config.view(({ cache }) => ({
      expiryMs: cache.relayExpiry,
      missExpiryMs: cache.missExpiry,
      batchIntervalMs: cache.downstreamRelaysBatchInterval,
    }));
    this.#relays = new RelayKeys(Object.assign(remembering, {
      statics: new Map(
        options.config.auth.staticRelays.map(({ id, publicKey, internal }) => [
          id,
          { publicKey: PublicKey.parse(publicKey), internal },
        ]),
      ),
      queries,
      clock,
      metrics,
    }));
    this.#writer = new CacheWriter({ storage, clock, path: cachePath, render: () => this.#render() });
  }

  /** Takes over what an earlier run has known. */
  async load(): Promise<void> {
    const { storage, cachePath, clock } = this.#o;
    const kept = await readCacheFile(storage, cachePath, this.#owner);
    const invalid = this.#cache.restore(kept.projects, clock.monotonic());
    const config = kept.global === null ? null : readGlobalConfig(kept.global);
    if (config !== null) this.#global = { config, raw: kept.global };
    this.#cache.sweep(clock.monotonic());
    this.#cache.takeChanges();
    if (kept.projects.length > 0) {
      log.info("project states of an earlier run", { projects: kept.projects.length - invalid, invalid });
    }
  }

  /**
   * Takes over a changed configuration.
   *
   * @param isElsewhere whether the upstream is another one now: this node has to register there before anything is sent
   */
  configure(config: Config, isElsewhere: boolean): void {
    this.#config.set(config);
    if (isElsewhere) this.#registration.restart();
  }

  start(): void {
    this.#registration.start();
    this.#projects.start();
    this.#globals.start();
  }

  /** Ends all that is under way, and keeps what is known. */
  async stop(): Promise<void> {
    const stopped = [
      this.#registration.stop(),
      this.#projects.stop(),
      this.#globals.stop(),
      this.#relays.stop(),
    ];
    this.#queries.close();
    await Promise.all(stopped);
    await this.#writer.close();
  }

  /** States of all projects that are known. */
  get states(): readonly (readonly [key: string, state: ProjectState])[] {
    return this.#cache.states;
  }

  /** Keys whose states have to be asked for again when they are used. */
  get staleKeys(): readonly string[] {
    return this.#cache.staleKeys;
  }

  /** State of one key; null when it is not known. */
  stateOf(key: string): ProjectState | null {
    return this.#cache.lookup(key)?.state ?? null;
  }

  /** Whether it has to be asked for again when it is used. */
  isStale(key: string): boolean {
    return this.#cache.isStale(key);
  }

  get global(): GlobalConfig {
    return this.#global?.config ?? DEFAULT_GLOBAL_CONFIG;
  }

  get registration(): RegistrationState {
    return this.#registration.state;
  }

  /** Whether records have to wait. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Why this node is not ready; null when it is. */
  get problem(): string | null {
    if (this.#registration.isAuthenticated) return null;
    const { state } = this.#registration;
    const said = "problem" in state && state.problem !== null ? `: ${state.problem}` : "";
    return state.kind === "denied" ? `refused by the upstream for good${said}` : `not authenticated${said}`;
  }

  /** Lanes need the states of these keys. */
  want(keys: readonly string[]): void {
    this.#projects.want(keys);
  }

  /** Answers a relay downstream. */
  async answer(question: RelayQuestion): Promise<RelayAnswer> {
    return await answerRelay(question, {
      findRelay: (id) => this.#relays.find(id),
      lookup: (key) => this.#cache.lookup(key),
      want: (keys) => this.want(keys),
      global: () => this.#global?.raw ?? null,
      passOn: (query, body) => this.#queries.askRaw(query, body),
      advertisedUpstream: this.#config.current.relay.advertisedUpstream,
    });
  }

  /** Gauges, and what is written now and then. */
  tick(): void {
    const { metrics } = this.#o;
    metrics.set(METRICS.authenticated, this.#registration.isAuthenticated ? 1 : 0);
    metrics.set(METRICS.globalConfigAge, (this.#globals.ageMs ?? 0) / 1000);
    this.#writer.tick();
  }

  get #owner() {
    return { upstream: this.#config.current.relay.upstream, relayId: this.#o.credentials.id };
  }

  #registrationChanged(): void {
    this.#projects.recheck();
    this.#globals.recheck();
    this.#checkHeld();
  }

  #takeGlobal(fetched: { readonly config: GlobalConfig; readonly raw: unknown }): void {
    this.#global = fetched;
    this.#writer.changed();
    this.#o.onGlobal(fetched.config);
    this.#checkHeld();
  }

  #checkHeld(): void {
    const isHeld = !this.#registration.isAuthenticated || this.#global === null;
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    this.#o.onHeld(isHeld);
  }

  #publish(): void {
    const changes = this.#cache.takeChanges();
    if (changes === null) return;
    if (changes.states.length > 0 || changes.removed.length > 0) this.#writer.changed();
    this.#o.onChanges(changes);
  }

  #render(): Promise<Uint8Array> {
    // A list of its own, because the cache changes while it is written down.
    const projects = [...this.#cache.known()].map(({ key, document }) => ({
      key,
      text: document?.text ?? null,
    }));
    const content = { projects, global: this.#global?.raw ?? null };
    return renderCacheFile(this.#owner, content, () => this.#o.clock.sleep(0));
  }
}

/** Section 2: an interval counts only between grace and the end of the state's life. */
function refreshMs(cache: Config["cache"]): number | null {
  const { projectRefreshInterval: interval, projectExpiry, projectGracePeriod: grace } = cache;
  return interval !== null && interval > grace && interval < projectExpiry + grace ? interval : null;
}
