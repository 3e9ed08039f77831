/**
 * POST of envelopes from a site's own pages to a path of its own (`listener.tunnel`), past blockers of known addresses.
 *
 * What the browser SDK's option `tunnel` does: the request carries no authorization, and the DSN in the envelope's header
 * says whose it is. A Relay has no such route. Only DSNs of allowed hosts and projects pass, so that nobody else's
 * telemetry travels at this node's cost. From there on it is an envelope like any other.
 */
import { envelopeAuth } from "../../protocol/envelope.ts";
import { isHostOf } from "../../protocol/ingest_host.ts";
import { RequestError } from "../../protocol/request_error.ts";
import { submitLargeEnvelope } from "../large_envelope.ts";
import { LargeStream } from "../large_stream.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, type Sender, submitEnvelope } from "../submission.ts";

/** What may pass the tunnel. */
export interface TunnelRules {
  /** Path of the route. */
  readonly path: string;
  /** Hosts of DSNs, lower case, without port; `*.` at the start stands for any subdomain. */
  readonly hosts: readonly string[];
  /** Canonical decimal; empty for any. */
  readonly projectIds: readonly string[];
}

/** Endpoint for envelopes that name their DSN. */
export function tunnelEndpoint(deps: IngestionDeps, rules: TunnelRules): Endpoint {
  const senderOf = (bytes: Uint8Array): Sender => {
    const { auth, dsn } = envelopeAuth(bytes);
    const projectId = dsn.projectId ?? "";
    if (!rules.hosts.some((pattern) => isHostOf(dsn.host, pattern))) throw refused("host");
    if (rules.projectIds.length > 0 && !rules.projectIds.includes(projectId)) throw refused("project");
    return { projectId, auth, checked: false };
  };
  return async (request) => {
    const limit = deps.maxEnvelopeBytes;
    const body = await deps.bodies.open(request, limit);
    if (body instanceof LargeStream) {
      return await submitLargeEnvelope(deps, request, { stream: body, limit, sender: senderOf });
    }
    try {
      return await submitEnvelope(deps, request, senderOf(body.decoded), body);
    } finally {
      body.release();
    }
  };
}

function refused(what: "host" | "project"): RequestError {
  return RequestError.json(
    403,
    "project_id",
    `the ${what} of the envelope's DSN is not allowed through this tunnel`,
  );
}
