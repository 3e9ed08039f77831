/** A listener over real sockets with an ingress that only remembers. */
import type { CidrSet } from "../../src/core/cidr.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { PaceLimits } from "../../src/listener/body_pace.ts";
import { createConnectionCounts } from "../../src/listener/connection_gate.ts";
import { concatBytes } from "../../src/core/bytes.ts";
import { parseEnvelope, rewriteEnvelope } from "../../src/protocol/envelope.ts";
import { DiskBudget } from "../../src/spool/disk_budget.ts";
import { LargeUpload } from "../../src/spool/large_upload.ts";
import type { SpoolError } from "../../src/spool/spool_error.ts";
import { decodeContent } from "./decode_content.ts";
import { SimStorage } from "./sim_storage.ts";
import { BodyReader } from "../../src/listener/body_reader.ts";
import type {
  Ingress,
  LargeSubmission,
  PassthroughSubmission,
  Submission,
} from "../../src/listener/ingress.ts";
import { SPOOL_FULL } from "../../src/listener/ingress.ts";
import { type Exposure, Listener } from "../../src/listener/listener.ts";
import { healthRoutes, ingestionRoutes, relayRoutes } from "../../src/listener/routes.ts";
import { DEFAULT_ITEM_LIMITS, type ItemLimits } from "../../src/protocol/item_limits.ts";
import type { RateLimit } from "../../src/protocol/rate_limit.ts";
import type { TlsMaterial } from "../../src/listener/tls_material.ts";
import { METRIC_LAYOUT } from "../../src/telemetry/catalogue.ts";
import { Metrics } from "../../src/telemetry/registry.ts";

export const EXPOSURES: readonly Exposure[] = ["load_balancer", "internet"];

/** Key used by tests. */
export const KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";
/** Query that authenticates with {@link KEY}. */
export const AUTH = `sentry_version=7&sentry_key=${KEY}`;

/** Remembers submissions, with copies of their bodies, and answers as told. */
export class FakeIngress implements Ingress {
  readonly submissions: Submission[] = [];
  readonly passthroughs: (PassthroughSubmission & { readonly body: Uint8Array })[] = [];
  /** Where large bodies go. */
  readonly storage = new SimStorage({});
  readonly budget = DiskBudget.create(1 << 30);
  /** Projects whose state is known, by key. */
  readonly projects = new Map<string, string>();
  /** What the next submissions resolve with. */
  respond: () => Promise<readonly RateLimit[]> = () => Promise.resolve([]);

  submit(submission: Submission): Promise<readonly RateLimit[]> {
    this.submissions.push(submission);
    return this.respond();
  }

  /** Remembered as if its body had been held. */
  async submitPassthrough(
    { meta, body, receivedAtMs }: PassthroughSubmission,
  ): Promise<readonly RateLimit[]> {
    const held = body instanceof Uint8Array ? body : await bytesOf(body);
    this.passthroughs.push({ meta, body: held, receivedAtMs });
    return await this.respond();
  }

  async openLarge(): Promise<LargeUpload> {
    const { storage, budget } = this;
    return await LargeUpload.create({ storage, folder: "p0", budget, onFailure: () => {} });
  }

  screen(): void {}

  /** Remembered as if it had been held, with its header as it is to be. */
  async submitLarge({ meta, body, headers, receivedAtMs }: LargeSubmission): Promise<readonly RateLimit[]> {
    const bytes = await bytesOf(body);
    const read = parseEnvelope(decodeContent(bytes, meta.contentEncoding));
    const envelope = headers ? parseEnvelope(concatBytes(rewriteEnvelope(read, { headers }))) : read;
    const stored = headers ? envelope.bytes : bytes;
    const contentEncoding = headers ? "" : meta.contentEncoding;
    return await this.submit({ meta: { ...meta, contentEncoding }, envelope, body: [stored], receivedAtMs });
  }

  /** Anything that fails is a full spool. */
  unspooled(_error: SpoolError): readonly RateLimit[] {
    const expiresAtMs = systemClock.now() + 59_500;
    return [{ categories: [], scope: "organization", reason: SPOOL_FULL, namespaces: [], expiresAtMs }];
  }

  projectIdOf(key: string): string | null {
    return this.projects.get(key) ?? null;
  }

  /** From now on everything is limited for a minute. */
  limitAll(reason: string | null = null): void {
    const expiresAtMs = systemClock.now() + 59_500;
    const limit: RateLimit = { categories: [], scope: "key", reason, namespaces: [], expiresAtMs };
    this.respond = () => Promise.resolve([limit]);
  }

  /** The last submission; forgets all. */
  take(): Submission {
    const last = this.submissions.at(-1);
    this.submissions.length = 0;
    if (!last) throw new Error("nothing was submitted");
    return last;
  }
}

async function bytesOf(body: LargeUpload): Promise<Uint8Array> {
  return concatBytes(await Array.fromAsync(body.read(), (chunk) => chunk.slice()));
}

export interface ListenerFixture extends AsyncDisposable {
  readonly listener: Listener;
  readonly ingress: FakeIngress;
  readonly bodies: BodyReader;
  readonly metrics: Metrics;
  readonly port: number;
  /** 0 without `tls`. */
  readonly tlsPort: number;
  readonly url: string;
  /** Answer of the health routes. */
  health: { live: boolean; ready: boolean };
}

export interface FixtureOptions {
  readonly exposure: Exposure;
  readonly trustedProxies?: CidrSet;
  readonly maxEnvelopeBytes?: number;
  readonly maxUploadBytes?: number;
  readonly itemLimits?: Partial<ItemLimits>;
  readonly memoryBytesMax?: number;
  readonly connectionsMax?: number;
  readonly connectionsPerAddress?: number;
  /** Addresses whose connections are not bounded. */
  readonly exempt?: CidrSet;
  /** Peers that send PROXY headers. */
  readonly proxies?: CidrSet;
  readonly tls?: TlsMaterial;
  readonly hosts?: readonly string[];
  readonly hstsMaxAgeSeconds?: number;
  readonly headersTimeoutMs?: number;
  readonly pace?: Partial<PaceLimits>;
  readonly idleTimeoutMs?: number;
  readonly answerTimeoutMs?: number;
  readonly routes?: "public" | "internal";
}

/** Starts a listener on a free port of the loopback. */
export async function startListener(options: FixtureOptions): Promise<ListenerFixture> {
  const metrics = new Metrics(METRIC_LAYOUT);
  const bodies = new BodyReader({ memoryBytesMax: options.memoryBytesMax ?? 64 * 1024 * 1024, metrics });
  const ingress = new FakeIngress();
  const health = { live: true, ready: true };
  const probes = { isLive: () => health.live, isReady: () => health.ready };
  const deps = {
    ingress,
    bodies,
    clock: systemClock,
    metrics,
    trustedProxies: options.trustedProxies ?? null,
    maxEnvelopeBytes: options.maxEnvelopeBytes ?? 8 * 1024 * 1024,
    maxUploadBytes: options.maxUploadBytes ?? 8 * 1024 * 1024,
    itemLimits: { ...DEFAULT_ITEM_LIMITS, ...options.itemLimits },
  };
  const listener = await Listener.start({
    exposure: options.exposure,
    routes: options.routes === "public"
      ? [...ingestionRoutes(deps), ...relayRoutes(probes)]
      : options.routes === "internal"
      ? healthRoutes(probes)
      : [...ingestionRoutes(deps), ...healthRoutes(probes), ...relayRoutes(probes)],
    version: "1.2.3",
    bodies,
    metrics,
    clock: systemClock,
    hostname: "127.0.0.1",
    port: 0,
    reusePort: false,
    tls: options.tls ? { port: 0, material: options.tls } : null,
    hosts: options.hosts ?? [],
    hstsMaxAgeSeconds: options.hstsMaxAgeSeconds ?? null,
    backlog: 4096,
    proxies: options.proxies ?? null,
    connections: {
      connectionsMax: options.connectionsMax ?? 1000,
      perAddressMax: options.connectionsPerAddress ?? 1000,
      counts: createConnectionCounts(1000),
      exempt: options.exempt ?? null,
    },
    pace: { timeoutMs: 5000, bytesPerSecondMin: 0, requestTimeoutMs: 60_000, ...options.pace },
    timeouts: {
      headersMs: options.headersTimeoutMs ?? 5000,
      idleMs: options.idleTimeoutMs ?? 5000,
      answerMs: options.answerTimeoutMs ?? 5000,
    },
  });
  const { port } = listener.address;
  const tlsPort = listener.tlsPort ?? 0;
  return {
    listener,
    ingress,
    bodies,
    metrics,
    port,
    tlsPort,
    url: `http://127.0.0.1:${port}`,
    health,
    [Symbol.asyncDispose]: () => listener.close(500),
  };
}
