/**
 * The upstreams to which an ingest half passes requests on: a client for each, found by the routes and shares of records.
 *
 * Requests without a key go to the default upstream. When weights change, an upload under way may find its other half at
 * another upstream, which refuses it; clients begin such uploads anew.
 */
import type { ForwardUpstream } from "../listener/forwarding.ts";
import type { StreamRequest, StreamResponse } from "../upstream/stream_client.ts";
import { UpstreamClient, type UpstreamClientOptions } from "../upstream/upstream_client.ts";
import { type RouteSubject, UpstreamRoutes } from "../upstream/upstream_route.ts";
import { DEFAULT_UPSTREAM, type UpstreamSnapshot, type UpstreamSpec } from "../upstream/upstream_spec.ts";

interface Member {
  readonly client: UpstreamClient;
  readonly spec: UpstreamSpec;
}

/** {@link ForwardUpstream} that follows the configuration. */
export class PassedUpstreams implements ForwardUpstream {
  readonly #options: UpstreamClientOptions;
  readonly #organizationOf: (key: string) => string | null;
  #members = new Map<string, Member>();
  /** Gone from the configuration, while answers are on their way. */
  readonly #leaving = new Set<UpstreamClient>();
  #routes: UpstreamRoutes;

  /** @param organizationOf organisation of a public key, as far as it is known */
  constructor(
    snapshot: UpstreamSnapshot,
    organizationOf: (key: string) => string | null,
    options: UpstreamClientOptions,
  ) {
    this.#options = options;
    this.#organizationOf = organizationOf;
    this.#routes = new UpstreamRoutes(snapshot.routes, snapshot.shares);
    this.update(snapshot);
  }

  async send(
    request: StreamRequest,
    signal: AbortSignal,
    subject: RouteSubject | null,
  ): Promise<StreamResponse> {
    const name = subject === null ? DEFAULT_UPSTREAM : this.#routes.of(subject, this.#organizationOf);
    const { client } = this.#members.get(name) ?? this.#members.get(DEFAULT_UPSTREAM)!;
    return await client.stream(request, signal);
  }

  /** Takes over a new snapshot; upstreams that stay keep their state. */
  update({ upstreams, routes, shares }: UpstreamSnapshot): void {
    this.#routes = new UpstreamRoutes(routes, shares);
    const before = this.#members;
    this.#members = new Map(upstreams.map((spec) => {
      const client = before.get(spec.name)?.client;
      client?.update(spec);
      return [spec.name, { client: client ?? new UpstreamClient(spec, this.#options), spec }];
    }));
    for (const client of this.#leaving) if (client.streaming === 0) this.#leaving.delete(client);
    for (const [name, { client, spec }] of before) {
      if (this.#members.has(name)) continue;
      client.update({ ...spec, endpoints: [] });
      this.#leaving.add(client);
    }
  }

  close(): void {
    for (const client of this.#clients()) client.close();
  }

  *#clients(): Iterable<UpstreamClient> {
    for (const { client } of this.#members.values()) yield client;
    yield* this.#leaving;
  }
}
