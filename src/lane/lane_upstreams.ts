/** The upstreams of a forward half: made from the control plane's snapshot, changed by the next one. */
import type { Clock } from "../core/clock.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { BodyEncoder } from "../upstream/body_encoding.ts";
import { CopyQueue } from "../upstream/copy_queue.ts";
import type { ForwardJob } from "../upstream/forward_source.ts";
import { ForwardTarget } from "../upstream/forward_target.ts";
import type { ForwardTargets } from "../upstream/forwarder.ts";
import type { HealthWriter } from "../upstream/health_table.ts";
import { LargeSender } from "../upstream/large_sender.ts";
import type { RequestSigner } from "../upstream/request_signer.ts";
import { UpstreamClient } from "../upstream/upstream_client.ts";
import { UpstreamRoutes } from "../upstream/upstream_route.ts";
import { DEFAULT_UPSTREAM, type UpstreamSnapshot, type UpstreamSpec } from "../upstream/upstream_spec.ts";
import type { ForwardSettings } from "./messages.ts";

/** Idle upstream connections are closed well before common upstreams would: nginx 75 s, many balancers 60 s. */
export const IDLE_TIMEOUT_MS = 15_000;
/** Head of an answer. */
export const HEAD_BYTES_MAX = 64 * 1024;

/** What the upstreams of a half are made with. */
export interface LaneUpstreamsOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly health: HealthWriter;
  readonly signer: RequestSigner;
  /** Read at use, and may change. */
  readonly limits: ForwardSettings["upstream"];
  /** Largest envelope once decoded. */
  bodyBytesMax(): number;
  /** Organisation of a public key, as far as it is known. */
  organizationOf(key: string): string | null;
}

interface Member {
  readonly target: ForwardTarget;
  readonly client: UpstreamClient;
  readonly copies: CopyQueue;
  readonly encoder: BodyEncoder;
  spec: UpstreamSpec;
}

/** {@link ForwardTargets} that follow the configuration. */
export class LaneUpstreams implements ForwardTargets {
  readonly #o: LaneUpstreamsOptions;
  #members = new Map<string, Member>();
  #all: readonly ForwardTarget[] = [];
  #routes: UpstreamRoutes;

  constructor(snapshot: UpstreamSnapshot, options: LaneUpstreamsOptions) {
    this.#o = options;
    this.#routes = new UpstreamRoutes(snapshot.routes, snapshot.shares);
    this.update(snapshot);
  }

  get all(): readonly ForwardTarget[] {
    return this.#all;
  }

  of(meta: RequestMeta): ForwardTarget {
    if (this.#all.length === 1) return this.#all[0]!;
    const name = this.#routes.of(meta, this.#o.organizationOf);
    return (this.#members.get(name) ?? this.#members.get(DEFAULT_UPSTREAM)!).target;
  }

  delivered(job: ForwardJob, target: ForwardTarget): void {
    const copyTo = this.#members.get(target.name)?.spec.copyTo ?? null;
    if (copyTo !== null) this.#members.get(copyTo)?.copies.push(job);
  }

  /** Takes over a new snapshot; upstreams that stay keep their state and connections. */
  update({ upstreams, routes, shares }: UpstreamSnapshot): void {
    this.#routes = new UpstreamRoutes(routes, shares);
    const before = this.#members;
    this.#members = new Map(upstreams.map((spec) => {
      const member = before.get(spec.name);
      if (!member) return [spec.name, this.#join(spec)];
      member.spec = spec;
      member.encoder.choice = spec.encoding;
      member.client.update(spec);
      return [spec.name, member];
    }));
    this.#all = [...this.#members.values()].map(({ target }) => target);
    for (const [name, member] of before) if (this.#members.get(name) !== member) leave(member);
  }

  close(): void {
    for (const { target, copies } of this.#members.values()) {
      copies.close();
      target.close();
    }
  }

  #join(spec: UpstreamSpec): Member {
    const { clock, metrics, health, signer, limits, bodyBytesMax } = this.#o;
    const client = new UpstreamClient(spec, {
      clock,
      metrics,
      health,
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      headBytesMax: HEAD_BYTES_MAX,
      get connectTimeoutMs() {
        return limits.connectTimeoutMs;
      },
      get totalTimeoutMs() {
        return limits.totalTimeoutMs;
      },
      get connectionsMax() {
        return limits.maxConcurrent + 1;
      },
      get bodyBytesMax() {
        return limits.answerBytesMax;
      },
    });
    const encoder = new BodyEncoder(spec.encoding, bodyBytesMax());
    const large = new LargeSender({
      client: { send: (request, signal) => client.stream(request, signal), close() {} },
      encoder,
      clock,
      totalTimeoutMs: limits.totalTimeoutMs,
      answerBytesMax: limits.answerBytesMax,
    });
    const target = new ForwardTarget({
      timing: limits,
      name: spec.name,
      client,
      large,
      encoder,
      clock,
      metrics,
      signer,
    });
    const copies = new CopyQueue(target, metrics, clock);
    return { target, client, copies, encoder, spec };
  }
}

/** What is under way to an upstream that is gone may finish. */
function leave({ target, copies }: Member): void {
  copies.close();
  target.retire();
}
