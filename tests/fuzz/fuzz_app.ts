/**
 * The application of a node without sockets and disk: routes, body limits, policy, and a spool that reads again what it
 * is given, as the forwarder will.
 */
import { systemClock } from "../../src/core/clock.ts";
import { CidrSet } from "../../src/core/cidr.ts";
import { type RecordSink, Submitter } from "../../src/lane/submit.ts";
import { App } from "../../src/listener/app.ts";
import { BodyReader } from "../../src/listener/body_reader.ts";
import {
  type AnswerBody,
  BodyError,
  type HeaderList,
  IncomingRequest,
} from "../../src/listener/incoming_request.ts";
import type { ForwardDeps } from "../../src/listener/forwarding.ts";
import { forwardRoute, ingestionRoutes, tunnelRoutes, uploadRoutes } from "../../src/listener/routes.ts";
import { Admission } from "../../src/projects/admission.ts";
import { OutcomeLedger } from "../../src/outcomes/outcome_ledger.ts";
import { ItemPolicy } from "../../src/projects/item_policy.ts";
import { QuotaCounters } from "../../src/projects/quotas/quota_counters.ts";
import { ProjectTable } from "../../src/projects/project_table.ts";
import { RateLimitTable } from "../../src/projects/rate_limit_table.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { DEFAULT_ITEM_LIMITS } from "../../src/protocol/item_limits.ts";
import { decodeRequestMeta, xSentryAuth } from "../../src/protocol/request_meta.ts";
import { DiskBudget } from "../../src/spool/disk_budget.ts";
import { LargeUpload } from "../../src/spool/large_upload.ts";
import type { SpoolRecord } from "../../src/spool/record.ts";
import { SpoolPressure } from "../../src/spool/spool_pressure.ts";
import { METRIC_LAYOUT, METRICS } from "../../src/telemetry/catalogue.ts";
import { Metrics } from "../../src/telemetry/registry.ts";
import type { StreamResponse } from "../../src/upstream/stream_exchange.ts";
import { decodeContent } from "../support/decode_content.ts";
import { SimStorage } from "../support/sim_storage.ts";
import type { FuzzInput } from "./mutate_request.ts";

const MIB = 1024 * 1024;
/** Largest envelope; bombs are larger. */
const ENVELOPE_BYTES_MAX = 4 * MIB;
/** All bodies together; one request must never need more. */
const MEMORY_BYTES_MAX = 32 * MIB;

/** What became of a request. */
export interface FuzzAnswer {
  readonly status: number;
  readonly body: string;
  /** What is wrong about it; empty when it is as it should be. */
  readonly faults: readonly string[];
}

/** The application and what it keeps. */
export class FuzzApp {
  readonly #app: App;
  readonly #bodies: BodyReader;
  readonly #metrics = new Metrics(METRIC_LAYOUT);
  #records: SpoolRecord[] = [];
  /** Bodies that have files of their own. */
  #storage = new SimStorage({});
  #budget = DiskBudget.create(ENVELOPE_BYTES_MAX * 4);

  constructor() {
    const metrics = this.#metrics;
    this.#bodies = new BodyReader({ memoryBytesMax: MEMORY_BYTES_MAX, metrics });
    const itemLimits = {
      ...DEFAULT_ITEM_LIMITS,
      maxAttachmentSize: 2 * MIB,
      maxAttachmentsSize: ENVELOPE_BYTES_MAX,
    };
    const projects = new ProjectTable({ unknown: "forward", overrideProjectIds: false, states: [] });
    const ingress = new Submitter({
      admission: new Admission(projects, new RateLimitTable()),
      sink: this.#writer(),
      clock: systemClock,
      metrics,
      ledger: new OutcomeLedger(metrics, false),
      policy: new ItemPolicy(new QuotaCounters()),
      itemLimits,
      acceptUnknownItems: true,
      onWanted: () => {},
      pressure: new SpoolPressure({
        budget: { bytesUsed: 0, bytesMax: 1 },
        clock: systemClock,
        bulkyShare: 1,
        costlyShare: 1,
      }),
    });
    const trustedProxies = CidrSet.parse(["192.0.2.0/24"]);
    const shared = { bodies: this.#bodies, clock: systemClock, metrics, trustedProxies };
    const deps = {
      ...shared,
      ingress,
      maxEnvelopeBytes: ENVELOPE_BYTES_MAX,
      maxUploadBytes: ENVELOPE_BYTES_MAX,
      itemLimits,
    };
    const upstream = { ...shared, upstream: WILLING_UPSTREAM, permits: ANY_NUMBER };
    const routes = [
      ...ingestionRoutes(deps),
      ...tunnelRoutes(deps, { path: "/tunnel", hosts: ["sentry.example"], projectIds: [] }),
      ...uploadRoutes({ ...upstream, uploadBytesMax: ENVELOPE_BYTES_MAX, upstreamHosts: new Set() }),
    ];
    const fallback = forwardRoute(upstream, {
      payloadBytesMax: MIB,
      fileUploadBytesMax: MIB,
      chunkUploadBytesMax: MIB,
    });
    this.#app = new App({ ...shared, routes, fallback, version: "0" });
  }

  /** Answers one request. Never rejects. */
  async handle(input: FuzzInput): Promise<FuzzAnswer> {
    this.#records = [];
    this.#storage = new SimStorage({});
    this.#budget = DiskBudget.create(ENVELOPE_BYTES_MAX * 4);
    const request = new FuzzRequest(input);
    const faults: string[] = [];
    try {
      await this.#app.handle(request);
    } catch (error) {
      faults.push(`it threw: ${error instanceof Error ? error.stack : error}`);
    }
    const { status, body } = request.answer ?? { status: 0, body: "" };
    if (status < 200 || status >= 500) faults.push(`status ${status}`);
    if (this.#bodies.held !== 0) faults.push(`${this.#bodies.held} bytes are still held`);
    const answers = request.answers;
    if (answers !== 1) faults.push(`${answers} answers`);
    if (this.#metrics.read(METRICS.requestsInFlight) !== 0) faults.push("a request is still in flight");
    if (status >= 400 && this.#records.length > 0) faults.push("refused and kept");
    const large = [...this.#storage.files.values()].map(({ content }) => content);
    const named = this.#records.filter((record) => record.isLarge);
    if (large.length !== named.length) faults.push(`${large.length} files for ${named.length} records`);
    const unaccounted = this.#budget.bytesUsed - this.#storage.bytes;
    if (unaccounted !== 0) faults.push(`${unaccounted} bytes are in the budget and nowhere else`);
    for (const record of this.#records) {
      faults.push(...faultsOf(record.isLarge ? { ...record, body: large } : record));
    }
    return { status, body, faults };
  }

  #writer(): RecordSink {
    const append = (record: SpoolRecord): Promise<void> => {
      this.#records.push(record);
      return Promise.resolve();
    };
    const openLarge = (): Promise<LargeUpload> =>
      LargeUpload.create({
        storage: this.#storage,
        folder: "partition",
        budget: this.#budget,
        onFailure: () => {},
      });
    return { append, openLarge, close: () => Promise.resolve() };
  }
}

/** A record has to be readable, and what was accepted as an envelope has to be one. */
function faultsOf(record: SpoolRecord): string[] {
  try {
    const meta = decodeRequestMeta(record.meta);
    const sendable = [xSentryAuth(meta), meta.forwardedFor, meta.userAgent ?? "", meta.origin ?? ""];
    const broken = sendable.filter((value) => /[^\t -~\u0080-\u00ff]/.test(value));
    if (broken.length > 0) return [`not to be sent in a header: ${JSON.stringify(broken)}`];
    if (meta.passthrough !== null) return [];
    const body = decodeContent(concat(record.body), meta.contentEncoding);
    const envelope = parseEnvelope(body);
    return envelope.eventId === meta.eventId ? [] : [`event id ${envelope.eventId} is not ${meta.eventId}`];
  } catch (error) {
    return [`the record cannot be read: ${error}`];
  }
}

/** Reads everything and is content with it. */
const ANY_NUMBER: ForwardDeps["permits"] = { tryTake: () => true, give: () => {} };

const WILLING_UPSTREAM: ForwardDeps["upstream"] = {
  async send({ body, path, headers }): Promise<StreamResponse> {
    for await (const _ of body?.chunks ?? []);
    const broken = [path, ...headers.flat()].find((text) => /[\r\n\0]/.test(text));
    if (broken !== undefined) throw new Error(`not to be sent: ${JSON.stringify(broken)}`);
    return { status: 201, fields: ["location", "/api/1/upload/x/"], body: null, ended: Promise.resolve() };
  },
};

class FuzzRequest extends IncomingRequest {
  override readonly peer = "192.0.2.1";
  readonly signal = new AbortController().signal;
  answer: { readonly status: number; readonly body: string } | null = null;
  answers = 0;
  #read = 0;

  constructor(readonly input: FuzzInput) {
    super(input.method, input.target);
  }

  override header(name: string): string | null {
    return this.input.headers.get(name) ?? null;
  }

  override headerList(): HeaderList {
    return [...this.input.headers];
  }

  override async bytes(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    await this.chunks((chunk) => chunks.push(chunk) > 0);
    return concat(chunks);
  }

  override async chunks(take: (chunk: Uint8Array) => boolean): Promise<boolean> {
    while (this.#read < this.input.chunks.length) {
      const chunk = this.input.chunks[this.#read++]!;
      await Promise.resolve();
      if (typeof chunk === "string") throw new BodyError(chunk);
      if (!take(chunk)) return false;
    }
    return true;
  }

  override respond(status: number, _headers: HeaderList, body: AnswerBody): Response {
    this.answers++;
    this.answer = { status, body: typeof body === "string" ? body : "" };
    return new Response(null);
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
