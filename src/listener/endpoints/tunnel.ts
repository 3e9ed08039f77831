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
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, submitEnvelope } from "../submission.ts";

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
  return async (request) => {
    const body = await deps.bodies.read(request, deps.maxEnvelopeBytes);
    try {
      const { auth, dsn } = envelopeAuth(body.decoded);
      const projectId = dsn.projectId ?? "";
      if (!rules.hosts.some((pattern) => isHostOf(dsn.host, pattern))) throw refused("host");
      if (rules.projectIds.length > 0 && !rules.projectIds.includes(projectId)) throw refused("project");
      return await submitEnvelope(deps, request, { projectId, auth, checked: false }, body);
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
