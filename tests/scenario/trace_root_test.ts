/** Transactions in traces that began in another project: control reference, sections 4 and 8. */
import { assertEquals } from "@std/assert";
import { generateCredentials } from "../../src/config/credentials_file.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { startManaged } from "../support/managed_node.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { ScriptedSentry } from "../support/scripted_sentry.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const ROOT_KEY = "b".repeat(32);
const [KEPT, SAMPLED_OUT, ERROR] = ["c", "d", "e"].map((digit) => digit.repeat(32)) as [
  string,
  string,
  string,
];

/** Nothing of environment `dev` is kept. */
const SAMPLING = {
  version: 2,
  rules: [{
    id: 1000,
    type: "trace",
    samplingValue: { type: "sampleRate", value: 0 },
    condition: { op: "eq", name: "trace.environment", value: "dev" },
  }],
};
const FULL = { "cache.project_request_full_config": true };

async function send(node: NodeFixture, eventId: string, type: string, environment: string): Promise<void> {
  const trace = { trace_id: "0123456789abcdef0123456789abcdef", public_key: ROOT_KEY, environment };
  const lines = [{ event_id: eventId, trace }, { type }, { type }].map((line) => JSON.stringify(line));
  const url = `${node.url}/api/1/envelope/?sentry_key=${TEST_KEY}`;
  const answer = await fetch(url, { method: "POST", body: lines.join("\n") });
  await answer.body?.cancel();
  assertEquals(answer.status, 200);
}

/** One that the root's rules keep, one that they do not, and an error of the same trace. */
async function sendAll(node: NodeFixture): Promise<void> {
  await send(node, KEPT, "transaction", "prod");
  await send(node, SAMPLED_OUT, "transaction", "dev");
  await send(node, ERROR, "event", "dev");
}

const sampledOut = ({ node }: NodeFixture): number =>
  node.metrics.read(METRICS.outcomes, "filtered", "sampled", "transaction_indexed");

const eventsAt = (upstream: ScriptedUpstream): (string | null)[] =>
  upstream.requests.filter(({ items }) => items.some(({ headers }) => headers.type !== "client_report"))
    .map(({ eventId }) => eventId).toSorted();

/** A Sentry with both projects, for a node that gets sampling rules. */
function sentryFor({ publicKey }: { publicKey: string }): ScriptedSentry {
  const sentry = ScriptedSentry.start();
  sentry.internals.add(publicKey);
  sentry.addProject(TEST_KEY, 1);
  sentry.addProject(ROOT_KEY, 2, { sampling: SAMPLING });
  sentry.pending.add(ROOT_KEY);
  return sentry;
}

const isAsked = (sentry: ScriptedSentry): boolean =>
  sentry.callsOf("project_configs").some(({ query }) => query.publicKeys!.includes(ROOT_KEY));

/** Lets the node know the project itself, so that only the root is missing. */
async function introduce(node: NodeFixture): Promise<void> {
  await send(node, "a".repeat(32), "event", "prod");
  await until("the project is known", () => node.node.status().projects.enabled === 1);
}

Deno.test("managed: a transaction waits for the rules of the root of its trace; an error does not", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  await using node = await startManaged({ upstream: sentry.url, credentials, config: FULL });
  await introduce(node);
  await sendAll(node);
  await sentry.upstream.until(() => sentry.upstream.accepted(ERROR));
  await until("the root is asked for", () => isAsked(sentry));
  assertEquals(eventsAt(sentry.upstream), ["a".repeat(32), ERROR]);
  sentry.pending.clear();
  await sentry.upstream.until(() => sentry.upstream.accepted(KEPT));
  await until("the other is sampled out", () => sampledOut(node) === 1);
  // Now that the root is known it is asked at once.
  await send(node, "f".repeat(32), "transaction", "dev");
  await until("one more is sampled out", () => sampledOut(node) === 2);
  assertEquals(eventsAt(sentry.upstream), ["a".repeat(32), KEPT, ERROR]);
});

Deno.test("managed: transactions that wait for a root do so over a restart", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  const spool = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const options = {
    upstream: sentry.url,
    credentials,
    config: { ...FULL, "spool.envelopes.path": spool },
  };
  try {
    {
      await using node = await startManaged(options);
      await introduce(node);
      await sendAll(node);
      await sentry.upstream.until(() => sentry.upstream.accepted(ERROR));
    }
    assertEquals(eventsAt(sentry.upstream), ["a".repeat(32), ERROR]);
    await using node = await startManaged(options);
    const asked = sentry.callsOf("project_configs").length;
    await until("the root is asked for again", () => sentry.callsOf("project_configs").length > asked);
    assertEquals(node.node.status().spool.waiting, 2);
    sentry.pending.clear();
    await sentry.upstream.until(() => sentry.upstream.accepted(KEPT));
    await until("the other is sampled out", () => sampledOut(node) === 1);
    assertEquals(eventsAt(sentry.upstream), ["a".repeat(32), KEPT, ERROR]);
  } finally {
    await Deno.remove(spool, { recursive: true });
  }
});

Deno.test("managed: a root that is no project samples nothing", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  await using node = await startManaged({ upstream: sentry.url, credentials, config: FULL });
  await introduce(node);
  await send(node, SAMPLED_OUT, "transaction", "dev");
  await until("the root is asked for", () => isAsked(sentry));
  sentry.projects.delete(ROOT_KEY);
  sentry.pending.clear();
  await sentry.upstream.until(() => sentry.upstream.accepted(SAMPLED_OUT));
  assertEquals(sampledOut(node), 0);
});

const file = (publicKey: string, config: object): string =>
  JSON.stringify({ organizationId: 1, publicKeys: [{ publicKey }], config });

Deno.test("static: the rules of a root with a file hold, one without is not waited for", async () => {
  for (const isKnown of [true, false]) {
    await using upstream = ScriptedUpstream.start();
    const files = {
      "projects/1.json": file(TEST_KEY, {}),
      ...isKnown && { "projects/2.json": file(ROOT_KEY, { sampling: SAMPLING }) },
    };
    await using node = await startNode({
      upstream: upstream.url,
      config: { "relay.mode": "static" },
      files,
    });
    await sendAll(node);
    await upstream.until(() => upstream.accepted(KEPT) && upstream.accepted(ERROR));
    if (isKnown) assertEquals(sampledOut(node), 1);
    else await upstream.until(() => upstream.accepted(SAMPLED_OUT));
  }
});

Deno.test("managed: a file of the root lays its rules over the state that was fetched", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  sentry.addProject(ROOT_KEY, 2);
  const files = { "projects/2.json": file(ROOT_KEY, { sampling: SAMPLING }) };
  await using node = await startManaged({ upstream: sentry.url, credentials, config: FULL, files });
  await introduce(node);
  await sendAll(node);
  await until("the root is asked for", () => isAsked(sentry));
  sentry.pending.clear();
  await sentry.upstream.until(() => sentry.upstream.accepted(KEPT));
  await until("the other is sampled out", () => sampledOut(node) === 1);
});
