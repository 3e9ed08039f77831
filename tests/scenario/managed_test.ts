import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { generateCredentials } from "../../src/config/credentials_file.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { QUICK, startManaged } from "../support/managed_node.ts";
import { type NodeVariant, testEachNode } from "../support/each_node.ts";
import { runCommand } from "../support/node_command.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedSentry } from "../support/scripted_sentry.ts";
import { until } from "../support/until.ts";

const OTHER_KEY = "b".repeat(32);

/** A Sentry with one project that an identity made for the test may see. */
function sentryFor({ publicKey }: { publicKey: string }): ScriptedSentry {
  const sentry = ScriptedSentry.start();
  sentry.addProject(TEST_KEY, 1, { trustedRelays: [publicKey] });
  return sentry;
}

Deno.test("managed: registers, holds the first event until its project is known, and forwards it signed", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  await using node = await startManaged({ upstream: sentry.url, credentials });
  const { eventId, status } = await postEvent(node.url);
  assertEquals(status, 200);
  await sentry.upstream.until(() => sentry.upstream.accepted(eventId));
  assertEquals(sentry.calls.slice(0, 2).map(({ route }) => route), ["challenge", "response"]);
  const [asked] = sentry.callsOf("project_configs");
  assertEquals(
    asked?.query,
    { publicKeys: [TEST_KEY], revisions: [null], fullConfig: false, noCache: false } as object,
  );
  const second = await postEvent(node.url);
  await sentry.upstream.until(() => sentry.upstream.accepted(second.eventId));
  assertEquals(sentry.callsOf("project_configs").length, 1);
  const { phase, registration, projects } = node.node.status();
  assertEquals([phase, registration, projects.enabled], ["ready", "registered", 1]);
});

Deno.test("managed: an unknown project is answered with 200 while nobody knows, and with 403 from then on", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  await using node = await startManaged({ upstream: sentry.url, credentials });
  assertEquals((await postEvent(node.url, { key: OTHER_KEY })).status, 200);
  await until("the project is known to be none", () => node.node.status().projects.disabled === 1);
  await until("the lanes know", async () => (await postEvent(node.url, { key: OTHER_KEY })).status === 403);
  await until(
    "what waited is dropped",
    () => node.node.metrics.total(METRICS.outcomes, { reason: "project_id" }) >= 2,
  );
  assertEquals(sentry.upstream.requests.length, 0);
});

Deno.test("managed: a project that does not trust this node looks like none", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(generateCredentials());
  await using node = await startManaged({ upstream: sentry.url, credentials });
  await postEvent(node.url);
  await until("it is refused", async () => (await postEvent(node.url)).status === 403);
});

Deno.test("managed: events of a pending project wait, while those of others pass", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  sentry.addProject(OTHER_KEY, 2, { trustedRelays: [credentials.publicKey] });
  sentry.pending.add(TEST_KEY);
  await using node = await startManaged({ upstream: sentry.url, credentials });
  const waiting = await postEvent(node.url);
  const passing = await postEvent(node.url, { key: OTHER_KEY, projectId: 2 });
  await sentry.upstream.until(() => sentry.upstream.accepted(passing.eventId));
  await sentry.upstream.until(() => sentry.callsOf("project_configs").length >= 3);
  assert(!sentry.upstream.accepted(waiting.eventId));
  sentry.pending.clear();
  await sentry.upstream.until(() => sentry.upstream.accepted(waiting.eventId));
});

const failures: [what: string, fail: (sentry: ScriptedSentry) => void][] = [
  [
    "an expired challenge",
    (sentry) => sentry.fail("response", { status: 401, body: `{"detail":"expired"}` }),
  ],
  [
    "a plain 403",
    (sentry) => sentry.fail("challenge", { status: 403, body: "no" }, { status: 403, body: "no" }),
  ],
  ["a broken answer", (sentry) => sentry.fail("challenge", { body: "<html>" }, { body: "{}" })],
  ["a server error", (sentry) => sentry.fail("response", { status: 500 }, { status: 503 })],
  ["a broken connection", (sentry) => sentry.fail("challenge", { garbage: "" })],
];
for (const [what, fail] of failures) {
  Deno.test(`managed: registration survives ${what}; until it succeeds events wait on disk`, async () => {
    const credentials = generateCredentials();
    await using sentry = sentryFor(credentials);
    fail(sentry);
    await using node = await startManaged({ upstream: sentry.url, credentials });
    const { eventId, status } = await postEvent(node.url);
    assertEquals(status, 200);
    await sentry.upstream.until(() => sentry.upstream.accepted(eventId));
    assertEquals(node.node.status().problems, []);
  });
}

Deno.test("managed: an upstream that refuses for good is not asked again, and the node says so", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  sentry.banned.add(credentials.id);
  await using node = await startManaged({ upstream: sentry.url, credentials });
  assertEquals((await postEvent(node.url)).status, 200);
  await until("it is told", () => node.node.status().registration === "denied");
  const { problems, phase, spool } = node.node.status();
  assertEquals([problems, phase, spool.waiting], [
    ["refused by the upstream for good: HTTP 403: banned"],
    "unready",
    1,
  ]);
  assertEquals([sentry.calls.length, sentry.upstream.requests.length], [1, 0]);
});

Deno.test("managed: auth.ready always makes a node ready that is not registered", async () => {
  await using sentry = ScriptedSentry.start();
  sentry.failAlways("challenge", { status: 403, body: `{"detail":"closed"}` });
  await using node = await startManaged({ upstream: sentry.url, config: { "auth.ready": "always" } });
  await sentry.upstream.until(() => sentry.callsOf("challenge").length >= 2);
  assertEquals([node.node.status().phase, node.node.status().registration], ["ready", "unregistered"]);
});

Deno.test("managed: a clock that is off is named", async () => {
  await using sentry = ScriptedSentry.start();
  const date = new Date(Date.now() - 600_000).toUTCString();
  sentry.failAlways("challenge", {
    status: 401,
    body: `{"detail":"bad signature"}`,
    headers: { Date: date },
  });
  await using node = await startManaged({ upstream: sentry.url });
  await until("the problem is known", () => node.node.status().problems[0]?.includes("clock") ?? false);
  assertEquals(node.node.status().problems, [
    "not authenticated: HTTP 401: bad signature; the clock of this machine is 10 min ahead of the upstream's",
  ]);
});

Deno.test("managed: losing the registration on renewal holds events back, getting it again releases them", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  await using node = await startManaged({
    upstream: sentry.url,
    credentials,
    config: { "http.auth_interval": "300ms" },
  });
  const first = await postEvent(node.url);
  await sentry.upstream.until(() => sentry.upstream.accepted(first.eventId));
  sentry.failAlways("challenge", { status: 401, body: `{"detail":"who are you"}` });
  await until("it is lost", () => node.node.status().registration === "unregistered");
  const held = await postEvent(node.url);
  assertEquals(held.status, 200);
  const tries = sentry.callsOf("challenge").length;
  await sentry.upstream.until(() => sentry.callsOf("challenge").length >= tries + 2);
  assert(!sentry.upstream.accepted(held.eventId));
  sentry.failAlways("challenge", null);
  await sentry.upstream.until(() => sentry.upstream.accepted(held.eventId));
});

Deno.test("managed: a renewal that the network spoils changes nothing", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  await using node = await startManaged({
    upstream: sentry.url,
    credentials,
    config: { "http.auth_interval": "100ms" },
  });
  await until("registered", () => node.node.status().registration === "registered");
  sentry.failAlways("challenge", { status: 502 });
  const renewals = sentry.callsOf("challenge").length;
  await sentry.upstream.until(() => sentry.callsOf("challenge").length >= renewals + 3);
  const { eventId } = await postEvent(node.url);
  await sentry.upstream.until(() => sentry.upstream.accepted(eventId));
  assertEquals(node.node.status().registration, "renewing");
});

Deno.test("managed: nothing is forwarded before the global configuration is ready", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  sentry.isGlobalReady = false;
  await using node = await startManaged({ upstream: sentry.url, credentials });
  const { eventId } = await postEvent(node.url);
  await sentry.upstream.until(() => sentry.callsOf("global_config").length >= 3);
  assert(!sentry.upstream.accepted(eventId));
  sentry.isGlobalReady = true;
  await sentry.upstream.until(() => sentry.upstream.accepted(eventId));
});

Deno.test("managed: a state that changed is fetched again when it is stale, with its revision", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  await using node = await startManaged({
    upstream: sentry.url,
    credentials,
    config: { "cache.project_expiry": "1s", "cache.project_grace_period": "60s" },
  });
  const { eventId } = await postEvent(node.url);
  await sentry.upstream.until(() => sentry.upstream.accepted(eventId));
  await until("it was compared by revision", async () => {
    await postEvent(node.url);
    return sentry.callsOf("project_configs").some(({ query }) => query.revisions![0] !== null);
  });
  sentry.projects.delete(TEST_KEY);
  await until("the closed project is refused", async () => (await postEvent(node.url)).status === 403);
});

Deno.test("managed: a state that cannot be read leaves the old one in force and is counted", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  await using node = await startManaged({
    upstream: sentry.url,
    credentials,
    config: { "cache.project_expiry": "500ms", "cache.project_grace_period": "1s" },
  });
  const { eventId } = await postEvent(node.url);
  await sentry.upstream.until(() => sentry.upstream.accepted(eventId));
  sentry.addProject(TEST_KEY, 1, { trustedRelays: [credentials.publicKey], allowedDomains: "all" });
  const { metrics } = node.node;
  await until("it was counted more than once", async () => {
    assertEquals((await postEvent(node.url)).status, 200);
    return metrics.read(METRICS.projectFetches, "invalid") >= 2;
  });
});

Deno.test("managed: a project file adds to the rules of the upstream; a broken one changes nothing", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  sentry.internals.add(credentials.publicKey);
  const config = {
    trustedRelays: [credentials.publicKey],
    quotas: [{ limit: 0, categories: ["error"], reasonCode: "fetched" }],
  };
  sentry.addProject(OTHER_KEY, 2, config);
  const file = (config: object) => JSON.stringify({ publicKeys: [{ publicKey: OTHER_KEY }], config });
  await using node = await startManaged({
    upstream: sentry.url,
    credentials,
    config: { "cache.project_request_full_config": true, "cache.file_interval": "20ms" },
    files: { "projects/2.json": file({ allowedDomains: ["own.example"] }) },
  });
  const post = async (origin: string) =>
    (await postEvent(node.url, { key: OTHER_KEY, projectId: 2, headers: { origin } })).status;
  await until("its state is there", async () => await post("https://other.example") === 403);
  assertEquals(await post("https://own.example"), 429);
  await Deno.writeTextFile(`${node.folder}/projects/2.json`, "{ broken");
  await until("the file was read", () => node.node.metrics.read(METRICS.projectFilesWrong) === 1);
  assertEquals([await post("https://other.example"), await post("https://own.example")], [403, 429]);
  await Deno.writeTextFile(`${node.folder}/projects/2.json`, file({ quotas: [] }));
  await until("the file is in force", async () => await post("https://other.example") === 200);
  await until("the file is counted", () => node.node.metrics.read(METRICS.projectFilesWrong) === 0);
});

Deno.test("managed: a project file of this node stands over what the upstream says", async () => {
  const credentials = generateCredentials();
  await using sentry = sentryFor(credentials);
  sentry.addProject(OTHER_KEY, 2, { trustedRelays: [credentials.publicKey] });
  const closed = JSON.stringify({ disabled: true, publicKeys: [{ publicKey: OTHER_KEY }] });
  await using node = await startManaged({
    upstream: sentry.url,
    credentials,
    config: { "cache.project_expiry": "200ms" },
    files: { "projects/2.json": closed },
  });
  assertEquals((await postEvent(node.url, { key: OTHER_KEY, projectId: 2 })).status, 403);
  const { eventId } = await postEvent(node.url);
  await sentry.upstream.until(() => sentry.upstream.accepted(eventId));
  assertEquals((await postEvent(node.url, { key: OTHER_KEY, projectId: 2 })).status, 403);
});

testEachNode(
  "managed: made by the command line; killed during an outage of the upstream it still knows its projects",
  async (_, variant) => {
    const folder = await Deno.makeTempDir();
    try {
      assertEquals((await runCommand(["credentials", "generate", "-c", folder], variant)).code, 0);
      const file = `${folder}/credentials.json`;
      assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
      await survivesOutage(variant, await Deno.readTextFile(file));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

async function survivesOutage(variant: NodeVariant, credentials: string): Promise<void> {
  await using sentry = sentryFor({ publicKey: JSON.parse(credentials).public_key });
  await using node = await NodeProcess.start({
    ...variant,
    upstream: sentry.url,
    config: nested(QUICK),
    files: { "credentials.json": credentials },
  });
  const first = await postEvent(node.url);
  await sentry.upstream.until(() => sentry.upstream.accepted(first.eventId));
  await until("both are known", async () => (await postEvent(node.url, { key: OTHER_KEY })).status === 403);
  await until("both are kept", async () => {
    const kept = await Deno.readTextFile(`${node.folder}/spool/projects.cache`).catch(() => "");
    return kept.includes(TEST_KEY) && kept.includes(OTHER_KEY);
  });
  await node.kill();
  await sentry.upstream.down();
  node.launch();
  await until("the closed project is refused", async () => {
    try {
      return (await postEvent(node.url, { key: OTHER_KEY })).status === 403;
    } catch {
      return false;
    }
  });
  assertEquals(await node.readiness(), 503);
  const second = await postEvent(node.url);
  assertEquals(second.status, 200);
  assertStringIncludes(node.stderr, "project states of an earlier run");
  sentry.upstream.up();
  await sentry.upstream.until(() => sentry.upstream.accepted(second.eventId));
}

function nested(flat: Readonly<Record<string, unknown>>): Record<string, Record<string, unknown>> {
  const sections: Record<string, Record<string, unknown>> = {};
  for (const [key, value] of Object.entries(flat)) {
    const [section, name] = key.split(".") as [string, string];
    (sections[section] ??= {})[name] = value;
  }
  return sections;
}
