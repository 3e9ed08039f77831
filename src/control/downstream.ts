/**
 * What this node answers to relays downstream of it (control reference, section 4, last table).
 *
 * Whoever asks signs the question. Projects are shown to relays that are internal, or that the project trusts; others
 * get nothing, which looks like a project that does not exist. A project this node does not know yet is `pending`, and
 * is fetched, so that a later question finds it. Only an internal relay that asks for the full form gets what concerns
 * quotas and sampling, as far as this node was given it itself.
 *
 * It is asked by the lanes, whose listeners take the requests, one message per question; never for an envelope.
 */
import { z } from "zod";
import { fromUtf8Strict } from "../core/bytes.ts";
import type { KnownProject } from "../projects/project_cache.ts";
import type { RelayAnswer, RelayQuestion } from "../protocol/relay_question.ts";
import { hyphenated } from "../protocol/event_id.ts";
import { checkSignature } from "../protocol/signature.ts";
import { logger } from "../telemetry/log.ts";
import { QueryError, type QueryName } from "../upstream/query_client.ts";
import { type KnownRelay, RelayLookupError } from "./relay_keys.ts";

const log = logger("projects");

/** What answers are made from. */
export interface DownstreamDeps {
  /** @throws {RelayLookupError} */
  findRelay(id: string): Promise<KnownRelay | null>;
  lookup(key: string): KnownProject | null;
  want(keys: readonly string[]): void;
  /** As received, and null before there is one. */
  global(): unknown;
  /** Hands a batch of an internal relay to the upstream, signed by this node. */
  passOn(query: QueryName, body: Uint8Array): Promise<unknown>;
  /** Told to relays as the place to send to; null for none. */
  readonly advertisedUpstream: string | null;
}

class Refusal extends Error {
  constructor(readonly status: number, detail: string, readonly causes: readonly string[] = []) {
    super(detail);
  }
}

/** Answers a question. Never rejects. */
export async function answerRelay(question: RelayQuestion, deps: DownstreamDeps): Promise<RelayAnswer> {
  try {
    const relay = await verified(question, deps);
    switch (question.route) {
      case "project_configs":
        return ok(projectConfigs(read(question.body, configsSchema), relay, deps));
      case "public_keys":
        return ok(await publicKeys(read(question.body, keysSchema), deps));
      case "outcomes":
      case "metrics":
        return await batch(question, relay, deps);
    }
  } catch (error) {
    if (error instanceof Refusal) return refused(error);
    if (error instanceof RelayLookupError) return refused(new Refusal(503, "internal system is overloaded"));
    log.error("a relay could not be answered: {error}", { error });
    return refused(new Refusal(500, "internal error"));
  }
}

async function verified(
  { relayId, signature, body }: RelayQuestion,
  deps: DownstreamDeps,
): Promise<KnownRelay> {
  if (relayId === null) throw new Refusal(401, "missing header: x-sentry-relay-id");
  if (!UUID.test(relayId)) throw new Refusal(401, "malformed header: x-sentry-relay-id");
  if (signature === null) throw new Refusal(401, "missing header: x-sentry-relay-signature");
  const relay = await deps.findRelay(canonical(relayId));
  if (relay === null) throw new Refusal(401, "unknown relay id");
  const check = checkSignature(relay.publicKey, signature, body);
  if (check.kind !== "valid") {
    throw new Refusal(401, "invalid relay signature", [
      check.kind === "malformed" ? "invalid signature encoding" : "signature verification failed",
    ]);
  }
  return relay;
}

/** Ids may be written with dashes or without. */
function canonical(id: string): string {
  return hyphenated(id.replaceAll("-", "").toLowerCase());
}

const UUID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

const configsSchema = z.object({
  publicKeys: z.array(z.unknown()).default([]),
  revisions: z.array(z.string().nullable().catch(null)).nullish().catch(null),
  fullConfig: z.boolean().default(false),
  global: z.boolean().default(false),
});

const keysSchema = z.object({ relay_ids: z.array(z.string()).max(10_000) });

function read<T>(body: Uint8Array, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8Strict(body));
  } catch (error) {
    throw new Refusal(400, "invalid JSON data", [error instanceof Error ? error.message : String(error)]);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new Refusal(400, "invalid JSON data", [`${path.join(".")}: ${message}`]);
}

const PROJECT_KEY = /^[0-9a-f]{32}$/i;

function projectConfigs(
  { publicKeys, revisions, fullConfig, global }: z.output<typeof configsSchema>,
  relay: KnownRelay,
  deps: DownstreamDeps,
): object {
  const configs: Record<string, unknown> = {};
  const pending: string[] = [];
  const unchanged: string[] = [];
  const comparable = revisions?.length === publicKeys.length ? revisions : null;
  for (const [index, key] of publicKeys.entries()) {
    if (typeof key !== "string" || !PROJECT_KEY.test(key)) continue;
    const known = deps.lookup(key);
    if (known === null) {
      pending.push(key);
      continue;
    }
    const { document, state } = known;
    if (document === null || state.disabled) continue;
    const revision = comparable?.[index] ?? null;
    if (revision !== null && revision === document.revision) unchanged.push(key);
    else {
      const raw = JSON.parse(document.text);
      if (!hasAccess(raw, relay)) continue;
      configs[key] = served(raw, relay.internal && fullConfig, deps.advertisedUpstream);
    }
  }
  if (pending.length > 0) deps.want(pending);
  return {
    configs,
    ...pending.length > 0 && { pending },
    ...unchanged.length > 0 && { unchanged },
    ...global && globalPart(deps.global()),
  };
}

function globalPart(global: unknown): object {
  return global === null ? { global: {}, globalStatus: "pending" } : { global, globalStatus: "ready" };
}

type Document = Readonly<Record<string, unknown>> & { readonly config?: Readonly<Record<string, unknown>> };

function hasAccess({ config }: Document, { internal, publicKey }: KnownRelay): boolean {
  const trusted = config?.trustedRelays;
  return internal || Array.isArray(trusted) && trusted.includes(publicKey.text);
}

/** What external relays are not to know: control reference, section 4, "Limited serialisation". */
const INTERNAL_ONLY: ReadonlySet<string> = new Set([
  "trustedRelaySettings",
  "groupingConfig",
  "eventRetention",
  "downsampledEventRetention",
  "retentions",
  "quotas",
  "sampling",
  "dynamicSampling",
  "metricExtraction",
]);

/** The document of a project as a relay gets it. Where this node was told to send to is nobody else's business. */
function served(raw: Document, isFull: boolean, advertisedUpstream: string | null): object {
  const { upstream: _, config = {}, ...rest } = raw;
  const entries = Object.entries(config).filter(([name]) => isFull || !INTERNAL_ONLY.has(name));
  return {
    ...rest,
    config: Object.fromEntries(entries),
    ...advertisedUpstream !== null && { upstream: advertisedUpstream },
  };
}

async function publicKeys(
  { relay_ids: ids }: z.output<typeof keysSchema>,
  deps: DownstreamDeps,
): Promise<object> {
  const found = await Promise.all(ids.map(async (id) => {
    const relay = UUID.test(id) ? await deps.findRelay(canonical(id)) : null;
    return [id, relay && { publicKey: relay.publicKey.text, internal: relay.internal }] as const;
  }));
  return { relays: Object.fromEntries(found) };
}

async function batch(
  { route, body }: RelayQuestion,
  relay: KnownRelay,
  deps: DownstreamDeps,
): Promise<RelayAnswer> {
  if (!relay.internal) throw new Refusal(403, "This endpoint is only available to internal relays");
  read(body, z.looseObject({}));
  try {
    await deps.passOn(route, body);
    return { status: 202, body: "{}" };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new Refusal(error.kind === "refused" ? error.status ?? 502 : 503, "the upstream did not take it", [
      error.message,
    ]);
  }
}

function ok(value: object): RelayAnswer {
  return { status: 200, body: JSON.stringify(value) };
}

function refused({ status, message, causes }: Refusal): RelayAnswer {
  return { status, body: JSON.stringify({ detail: message, ...causes.length > 0 && { causes } }) };
}
