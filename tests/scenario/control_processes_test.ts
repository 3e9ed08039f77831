/**
 * Identity, policy and chains with nodes that are processes of their own, from source and as the executable, which may be
 * made of an older runtime. Sections are those of the control reference.
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { generateCredentials, renderCredentials } from "../../src/config/credentials_file.ts";
import type { Credentials } from "../../src/config/schema/credentials.ts";
import { SecretKey } from "../../src/protocol/signature.ts";
import { type NodeVariant, testEachNode } from "../support/each_node.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedSentry } from "../support/scripted_sentry.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { installSdkClients } from "../support/sdk_clients.ts";
import { until } from "../support/until.ts";

const SIGNED_KEY = "b".repeat(32);
const EVENT_ID = "c".repeat(32);
const TRACE_ID = "0123456789abcdef0123456789abcdef";
const { run, clients } = await installSdkClients();
const sdk = clients.find(({ name }) => name === "node_11")!;

function startManaged(
  variant: NodeVariant,
  upstream: string,
  credentials: Credentials,
  http: object = {},
): Promise<NodeProcess> {
  return NodeProcess.start({
    ...variant,
    upstream,
    config: {
      relay: { mode: "managed" },
      auth: { ready: "always" },
      cache: {
        batch_interval: "10ms",
        global_config_fetch_interval: "100ms",
        downstream_relays_batch_interval: "10ms",
      },
      http: { max_retry_interval: "200ms", ...http },
    },
    files: { "credentials.json": renderCredentials(credentials) },
  });
}

async function statusOf({ adminPort }: NodeProcess): Promise<{ registration: string; problems: string[] }> {
  return await (await fetch(`http://127.0.0.1:${adminPort}/status.json`)).json();
}

testEachNode(
  "identity: refused for a while, registered, renewed, refused for good: section 3",
  async (_, variant) => {
    const credentials = generateCredentials();
    await using sentry = ScriptedSentry.start();
    sentry.addProject(TEST_KEY, 1, { trustedRelays: [credentials.publicKey] });
    sentry.fail("challenge", { status: 403, body: `{"detail":"closed"}` }, { garbage: "nonsense" });
    sentry.fail("response", { status: 401, body: `{"detail":"challenge expired"}` });
    await using node = await startManaged(variant, sentry.url, credentials, { auth_interval: "1s" });
    const first = await postEvent(node.url);
    assertEquals(first.status, 200);
    await sentry.upstream.until(() => sentry.upstream.accepted(first.eventId), 20_000);
    const attempts = sentry.callsOf("challenge").length;
    await until("it registers anew", () => sentry.callsOf("challenge").length > attempts);
    sentry.banned.add(credentials.id);
    await until("it is refused for good", async () => (await statusOf(node)).registration === "denied");
    const asked = sentry.calls.length;
    const second = await postEvent(node.url);
    assertEquals(second.status, 200);
    assertMatch(node.stderr, /closed/);
    assertEquals(await node.terminate(), 0);
    assertEquals(sentry.calls.length, asked, "it asks no more");
    sentry.banned.clear();
    await node.startAgain();
    await sentry.upstream.until(() => sentry.upstream.accepted(second.eventId), 20_000);
    assertEquals((await statusOf(node)).registration, "registered");
  },
);

testEachNode("chain: an SDK, a node in mode proxy, two managed ones, Sentry", async (_, variant) => {
  const [near, far] = [generateCredentials(), generateCredentials()];
  await using sentry = ScriptedSentry.start();
  sentry.addProject(TEST_KEY, 1, { trustedRelays: [near.publicKey, far.publicKey] });
  await using first = await startManaged(variant, sentry.url, near);
  await using second = await startManaged(variant, first.url, far);
  await using third = await NodeProcess.start({ ...variant, upstream: second.url });
  await run(sdk, third.dsn());
  await sentry.upstream.until(() => sentry.upstream.requests.some(({ eventId }) => eventId !== null), 30_000);
  assertEquals([...sentry.relays.keys()].sort(), [near.id, far.id].sort());
  const askers = sentry.callsOf("project_configs").map(({ call }) => call.headers.get("x-sentry-relay-id"));
  assertEquals(new Set(askers), new Set([near.id]));
});

const item = (type: string, payload: object): string => {
  const text = JSON.stringify(payload);
  return `{"type":"${type}","length":${text.length}}\n${text}`;
};

testEachNode(
  "policy: what is refused, filtered, sampled out, counted and learned: sections 1, 6 to 8, 10",
  async (_, variant) => {
    await using upstream = ScriptedUpstream.start({ routes: /^\/api\/1\/integration\/otlp\/v1\/traces$/ });
    const trusted = SecretKey.generate();
    await using node = await NodeProcess.start({
      ...variant,
      upstream: upstream.url,
      config: {
        relay: { mode: "static" },
        listener: { trusted_proxies: ["127.0.0.1"] },
        outcomes: { report_interval: "100ms" },
      },
      files: {
        "projects/1.json": JSON.stringify({
          organizationId: 7,
          publicKeys: [{ publicKey: TEST_KEY, numericId: 1 }],
          config: {
            allowedDomains: ["example.com"],
            features: ["organizations:a"],
            filterSettings: {
              clientIps: { blacklistedIps: ["10.0.0.0/8"] },
              releases: { releases: ["bad@*"] },
              legacyBrowsers: { isEnabled: true, options: ["ie"] },
              errorMessages: { patterns: ["*ignore me*"] },
            },
            sampling: {
              version: 2,
              rules: [{ id: 1000, type: "trace", samplingValue: { type: "sampleRate", value: 0 } }],
            },
            quotas: [
              { id: "q", categories: ["error"], limit: 2, window: 86_400, reasonCode: "spent" },
              { categories: ["monitor"], limit: 0, reasonCode: "no_monitors" },
            ],
          },
        }),
        "projects/2.json": JSON.stringify({
          publicKeys: [{ publicKey: SIGNED_KEY }],
          config: {
            trustedRelays: [trusted.publicKey.text],
            trustedRelaySettings: { verifySignature: "enabled" },
          },
        }),
      },
    });
    const send = async (
      items: readonly string[],
      o: { head?: object; headers?: Record<string, string>; key?: string; projectId?: number } = {},
    ): Promise<[status: number, text: string]> => {
      const { head = {}, headers = {}, key = TEST_KEY, projectId = 1 } = o;
      const answer = await fetch(`${node.url}/api/${projectId}/envelope/?sentry_key=${key}`, {
        method: "POST",
        headers: { "user-agent": "test", ...headers },
        body: [JSON.stringify({ event_id: EVENT_ID, ...head }), ...items].join("\n"),
      });
      return [answer.status, (await answer.text()) + (answer.headers.get("x-sentry-rate-limits") ?? "")];
    };
    const refused = async (name: string, ...args: Parameters<typeof send>): Promise<void> => {
      const [status, text] = await send(...args);
      assertEquals(status, 403, text);
      assertStringIncludes(text, name);
    };
    const event = (payload: object = {}) => [item("event", payload)];
    await refused("Cors", event(), { headers: { origin: "https://elsewhere.example" } });
    await refused("ProjectId", event(), { projectId: 3 });
    await refused("ProjectId", event(), { key: "d".repeat(32) });
    await refused("FeatureDisabled", event(), { head: { required_features: ["organizations:b"] } });
    const signed = { key: SIGNED_KEY, projectId: 2 };
    await refused("MissingSignature", event(), signed);
    const signature = { "x-sentry-relay-signature": trusted.sign(new Uint8Array(), Date.now()) };
    assertEquals((await send(event(), { ...signed, headers: signature }))[0], 200);

    const transaction = [
      item("transaction", { type: "transaction", transaction: "/", start_timestamp: 1, timestamp: 2 }),
    ];
    const trace = { trace: { trace_id: TRACE_ID, public_key: TEST_KEY } };
    const taken = [
      [event(), { headers: { "x-forwarded-for": "10.1.2.3" } }],
      [event({ release: "bad@1" })],
      [event({ logentry: { formatted: "please ignore me now" } })],
      [event(), { headers: { "user-agent": "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)" } }],
      [transaction, { head: trace }],
      [event({ message: "one" })],
      [event({ message: "two" })],
    ] as const;
    for (const [items, options = {}] of taken) assertEquals((await send([...items], options))[0], 200);
    const spent = await send(event({ message: "three" }));
    assertEquals(spent[0], 429);
    assertMatch(spent[1], /\d+:error:organization:spent/);
    assertMatch((await send([item("check_in", {})]))[1], /60:monitor:organization:no_monitors/);
    const otlp = (address: string) =>
      fetch(`${node.url}/api/1/integration/otlp/v1/traces?sentry_key=${TEST_KEY}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-forwarded-for": address },
        body: "{}",
      }).then(async (answer) => (await answer.body?.cancel(), answer.status));
    assertEquals([await otlp("10.1.2.3"), await otlp("192.0.2.1")], [200, 200]);

    const reported = (): string[] =>
      upstream.requests.flatMap(({ items }) => items).filter(({ headers }) =>
        headers.type === "client_report"
      )
        .flatMap(({ payload }) => {
          const { timestamp: _, ...lists } = JSON.parse(new TextDecoder().decode(payload));
          return Object.entries(lists as Record<string, { reason: string }[]>)
            .flatMap(([list, entries]) => entries.map(({ reason }) => `${list} ${reason}`));
        });
    const expected = [
      "discarded_events cors",
      "discarded_events feature_disabled",
      "discarded_events missing_signature",
      "filtered_events error-message",
      "filtered_events ip-address",
      "filtered_events legacy-browsers",
      "filtered_events release-version",
      "filtered_sampling_events Sampled:1000",
      "rate_limited_events no_monitors",
      "rate_limited_events spent",
    ];
    await until("all of it is reported", () => expected.every((one) => reported().includes(one)));
    assertEquals([...new Set(reported())].sort(), expected);
    await upstream.until(() => upstream.requests.filter(({ eventId }) => eventId === EVENT_ID).length === 3);
    assertEquals(upstream.others.length, 1);

    upstream.script({ status: 429, headers: { "X-Sentry-Rate-Limits": "600:session:project:bought_out" } });
    await send([item("session", {})]);
    await until("the limit is learned", async () => (await send([item("session", {})]))[0] === 429);
    await until(
      "the limit is kept",
      async () =>
        (await Deno.readTextFile(`${node.folder}/spool/limits.json`).catch(() => "")).includes("bought_out"),
    );
    await node.kill();
    await node.startAgain();
    assertMatch((await send([item("session", {})]))[1], /\d+:session:project:bought_out/);
  },
);
