/** Identities and nodes in mode `managed`. */
import { generateCredentials, renderCredentials } from "../../src/config/credentials_file.ts";
import type { Credentials } from "../../src/config/schema/credentials.ts";
import { type NodeFixture, type NodeFixtureOptions, startNode } from "./node_fixture.ts";

/** A node in mode `managed` in the test's own process, and who it is. */
export interface ManagedNode extends NodeFixture {
  readonly credentials: Credentials;
}

/** Timing that makes waiting short; everything else is as users get it. */
export const QUICK: Readonly<Record<string, unknown>> = {
  "relay.mode": "managed",
  "cache.batch_interval": "10ms",
  "cache.global_config_fetch_interval": "100ms",
  "cache.downstream_relays_batch_interval": "10ms",
  "http.max_retry_interval": "200ms",
};

/** Starts a node with an identity, which may be one that is known already. */
export async function startManaged(
  options: NodeFixtureOptions & { readonly credentials?: Credentials },
): Promise<ManagedNode> {
  const credentials = options.credentials ?? generateCredentials();
  const node = await startNode({
    ...options,
    config: { ...QUICK, ...options.config },
    files: { "credentials.json": renderCredentials(credentials), ...options.files },
  });
  return { ...node, credentials };
}
