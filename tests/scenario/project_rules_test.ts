/** What a node with project states takes out, and what it tells the upstream. Sections are those of the control reference. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { ScriptedUpstream, type UpstreamCall } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const OTHER_KEY = "b".repeat(32);
const STRANGERS_KEY = "d".repeat(32);
const TRACE_ID = "0123456789abcdef0123456789abcdef";
const EVENT_ID = "c".repeat(32);

const project = (config: object, more: object = {}): string =>
  JSON.stringify({ organizationId: 7, publicKeys: [{ publicKey: TEST_KEY, numericId: 1 }], config, ...more });

const item = (type: string, payload: object, more: object = {}): string => {
  const text = JSON.stringify(payload);
  return `${JSON.stringify({ type, length: text.length, ...more })}\n${text}`;
};

async function send(
  node: NodeFixture,
  items: string[],
  headers: object = {},
  key = TEST_KEY,
  projectId = 1,
): Promise<Response> {
  const answer = await fetch(`${node.url}/api/${projectId}/envelope/?sentry_key=${key}`, {
    method: "POST",
    body: [JSON.stringify({ event_id: EVENT_ID, ...headers }), ...items].join("\n"),
  });
  await answer.body?.cancel();
  return answer;
}

const start = (upstream: ScriptedUpstream, config: object, more: Record<string, unknown> = {}) =>
  startNode({
    upstream: upstream.url,
    config: { "relay.mode": "static", "outcomes.report_interval": 0.05, ...more },
    files: { "projects/1.json": project(config) },
  });

const typesOf = ({ items }: UpstreamCall): string => items.map(({ headers }) => headers.type).join();

/** All that client reports said, summed up. */
function reported(upstream: ScriptedUpstream): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { items } of upstream.requests) {
    for (const { headers, payload } of items) {
      if (headers.type !== "client_report") continue;
      const { timestamp, ...lists } = JSON.parse(new TextDecoder().decode(payload));
      assert(Number.isInteger(timestamp));
      for (const [list, entries] of Object.entries(lists)) {
        for (
          const { reason, category, quantity } of entries as {
            reason: string;
            category: string;
            quantity: number;
          }[]
        ) {
          const name = `${list} ${reason} ${category}`;
          sums[name] = (sums[name] ?? 0) + quantity;
        }
      }
    }
  }
  return sums;
}

Deno.test("inbound filters: the event goes with what depends on it, is answered 200, and reported: section 7", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await start(upstream, { filterSettings: { errorMessages: { patterns: ["*boring*"] } } });
  const boring = item("event", { message: "so boring" });
  assertEquals((await send(node, [boring, item("attachment", {}), item("session", {})])).status, 200);
  assertEquals((await send(node, [item("event", { message: "exciting" })])).status, 200);
  assertEquals((await send(node, [boring])).status, 200);
  await upstream.until(() => "filtered_events error-message attachment" in reported(upstream));
  await upstream.until(() => reported(upstream)["filtered_events error-message error"] === 2);
  assertEquals(upstream.requests.map(typesOf).filter((types) => types !== "client_report").sort(), [
    "event",
    "session",
  ]);
  assertEquals(node.node.metrics.read(METRICS.outcomes, "filtered", "error-message", "error"), 2);
});

Deno.test("inbound filters: of logs and spans those fall that are filtered, the others travel as they came: section 7", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await start(upstream, { filterSettings: { releases: { releases: ["1.*"] } } });
  const part = (release: string, more = ""): string =>
    `{"n":12345678901234567890${more},"attributes":{"sentry.release":{"type":"string","value":"${release}"}}}`;
  const many = (type: string, ...parts: string[]): string =>
    `{"type":"${type}","item_count":${parts.length}}\n{"version":2,"items":[${parts.join()}]}`;
  const [old, recent, long] = [part("1.0"), part("2.0"), part("1.1", `,"body":"long"`)];
  assertEquals((await send(node, [many("log", old, recent, long), many("span", recent, old)])).status, 200);
  assertEquals((await send(node, [many("log", old, old)])).status, 200);
  assertEquals((await send(node, [many("log", recent, recent)])).status, 200);
  await upstream.until(() => reported(upstream)["filtered_events release-version log_item"] === 4);
  const sizeOf = (...parts: string[]): number => parts.reduce((sum, { length }) => sum + length + 1, 0);
  assertEquals(reported(upstream), {
    "filtered_events release-version log_item": 4,
    "filtered_events release-version log_byte": sizeOf(old, long) +
      `{"version":2,"items":[${[old, old].join()}]}`.length,
    "filtered_events release-version span": 1,
    "filtered_events release-version span_indexed": 1,
  });
  const forwarded = (): UpstreamCall[] =>
    upstream.requests.filter((call) => typesOf(call) !== "client_report");
  await upstream.until(() => forwarded().length === 2);
  const payloads = forwarded().map(({ items }) =>
    items.map(({ headers, payload }) => [headers.item_count, new TextDecoder().decode(payload)])
  );
  const payload = (...parts: string[]): [number, string] => [
    parts.length,
    `{"version":2,"items":[${parts.join()}]}`,
  ];
  assertEquals(payloads.toSorted((a, b) => b.length - a.length), [
    [payload(recent), payload(recent)],
    [payload(recent, recent)],
  ]);
});

Deno.test("dynamic sampling: a transaction goes with what belongs to it, errors stay: section 8", async () => {
  await using upstream = ScriptedUpstream.start();
  const rules = [{ id: 1000, type: "trace", samplingValue: { type: "sampleRate", value: 0 } }];
  await using node = await start(upstream, { sampling: { version: 2, rules } });
  const trace = { trace: { trace_id: TRACE_ID, public_key: TEST_KEY } };
  const transaction = item("transaction", { type: "transaction" }, { span_count: 2 });
  assertEquals((await send(node, [transaction, item("profile", {})], trace)).status, 200);
  assertEquals((await send(node, [item("event", {})], trace)).status, 200);
  assertEquals((await send(node, [transaction])).status, 200);
  await upstream.until(() => Object.keys(reported(upstream)).length === 3);
  assertEquals(reported(upstream), {
    "filtered_sampling_events Sampled:1000 transaction_indexed": 1,
    "filtered_sampling_events Sampled:1000 span_indexed": 3,
    "filtered_sampling_events Sampled:1000 profile_indexed": 1,
  });
  await upstream.until(() =>
    upstream.requests.filter((call) => typesOf(call) !== "client_report").length === 2
  );
});

Deno.test("quotas count over two lanes and are announced until their window ends: section 6", async () => {
  await using upstream = ScriptedUpstream.start();
  const quota = { id: "q", categories: ["error"], limit: 5, window: 86_400, reasonCode: "spent" };
  await using node = await start(upstream, { quotas: [quota] }, { lanes: 2 });
  const answers = await Promise.all(Array.from({ length: 12 }, () => send(node, [item("event", {})])));
  assertEquals(answers.filter(({ status }) => status === 200).length, 5);
  const refused = answers.filter(({ status }) => status === 429);
  assertEquals(refused.length, 7);
  assertMatch(refused[0]!.headers.get("x-sentry-rate-limits") ?? "", /^\d+:error:organization:spent$/);
  assertEquals((await send(node, [item("session", {})])).status, 200);
  await upstream.until(() => reported(upstream)["rate_limited_events spent error"] === 7);
});

/** Whom a limit is put on, and whose other key it holds for. */
const SHARED = [["project", 1], ["organization", 2]] as const;

for (const [scope, otherId] of SHARED) {
  Deno.test(`limits the upstream put on the ${scope} of a key hold for its other keys, in all lanes and over a restart: section 6`, async () => {
    await using upstream = ScriptedUpstream.start();
    const spool = await Deno.makeTempDir({ prefix: "landfall-test-" });
    const keys = [{ publicKey: TEST_KEY }, { publicKey: OTHER_KEY }];
    const options = {
      upstream: upstream.url,
      config: { "relay.mode": "static", "spool.envelopes.path": spool, "lanes": 2 },
      files: {
        "projects/1.json": project({}, { publicKeys: otherId === 1 ? keys : keys.slice(0, 1) }),
        ...otherId === 2 && { "projects/2.json": project({}, { publicKeys: keys.slice(1) }) },
        "projects/3.json": project({}, { organizationId: 8, publicKeys: [{ publicKey: STRANGERS_KEY }] }),
      },
    };
    const post = (node: NodeFixture, key: string, id: number) => send(node, [item("event", {})], {}, key, id);
    try {
      upstream.script({ status: 429, headers: { "X-Sentry-Rate-Limits": `600:error:${scope}:quota_hit` } });
      {
        await using node = await startNode(options);
        assertEquals((await post(node, TEST_KEY, 1)).status, 200);
        // As many connections, of which each lane takes some.
        const areRefused = async (): Promise<boolean> => {
          const answers = await Promise.all(Array.from({ length: 16 }, () => post(node, OTHER_KEY, otherId)));
          return answers.every(({ status }) => status === 429);
        };
        await until("the other key is limited in all lanes", areRefused);
        assertEquals((await post(node, STRANGERS_KEY, 3)).status, 200);
      }
      await using node = await startNode(options);
      const answer = await post(node, OTHER_KEY, otherId);
      assertEquals(answer.status, 429);
      assertEquals(
        answer.headers.get("x-sentry-rate-limits")?.replace(/^\d+/, "N"),
        `N:error:${scope}:quota_hit`,
      );
    } finally {
      await Deno.remove(spool, { recursive: true });
    }
  });
}

Deno.test("what a forward half drops is reported too, after a restart if need be: section 10", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ status: 503 });
  const spool = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const open = (files: Record<string, string>, interval: number) =>
    startNode({
      upstream: upstream.url,
      config: {
        "relay.mode": "proxy",
        "spool.envelopes.path": spool,
        "outcomes.report_interval": interval,
        "cache.file_interval": 0.05,
        "http.retry_delay": 0.05,
        "http.max_retry_interval": 0.05,
        "logging.level": "off",
      },
      files,
    });
  try {
    {
      await using node = await open({}, 3600);
      assertEquals((await send(node, [item("event", {})])).status, 200);
      await Deno.mkdir(`${node.folder}/projects`);
      await Deno.writeTextFile(
        `${node.folder}/projects/1.json`,
        project({ quotas: [{ limit: 0, reasonCode: "none_left" }] }),
      );
      const dropped = (): boolean =>
        node.node.metrics.total(METRICS.outcomes, { outcome: "rate_limited", category: "error" }) === 1;
      await until("the forward half drops it", dropped);
    }
    upstream.behave({});
    await using _node = await open({}, 0.05);
    await upstream.until(() => reported(upstream)["rate_limited_events none_left error"] === 1);
  } finally {
    await Deno.remove(spool, { recursive: true });
  }
});

Deno.test("nothing is reported with outcomes.emit_outcomes false", async () => {
  await using upstream = ScriptedUpstream.start();
  const config = { filterSettings: { errorMessages: { patterns: ["*"] } } };
  {
    await using node = await start(upstream, config, { "outcomes.emit_outcomes": false });
    assertEquals((await send(node, [item("event", { message: "x" })])).status, 200);
    assertEquals(node.node.metrics.read(METRICS.outcomes, "filtered", "error-message", "error"), 1);
  }
  assertEquals(upstream.requests, []);
});

Deno.test("whole bodies are held against address and quotas, like the items they carry: sections 6 and 7", async () => {
  await using upstream = ScriptedUpstream.start({
    routes: /^\/api\/1\/integration\/otlp\/v1\/(traces|logs)$/,
  });
  const quota = { id: "q", categories: ["log_item"], limit: 2, window: 86_400, reasonCode: "spent" };
  const trustedProxies = { "listener.trusted_proxies": ["127.0.0.1"] };
  const clientIps = { blacklistedIps: ["10.0.0.0/8"] };
  await using node = await start(
    upstream,
    { filterSettings: { clientIps }, quotas: [quota] },
    trustedProxies,
  );
  const exported = async (what: "traces" | "logs", address: string): Promise<number> => {
    const answer = await fetch(`${node.url}/api/1/integration/otlp/v1/${what}?sentry_key=${TEST_KEY}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-forwarded-for": address },
      body: "{}",
    });
    await answer.body?.cancel();
    return answer.status;
  };
  assertEquals(await exported("traces", "10.0.0.1"), 200);
  assertEquals(await exported("traces", "192.0.2.1"), 200);
  for (const status of [200, 200, 429]) assertEquals(await exported("logs", "192.0.2.1"), status);
  await upstream.until(() => upstream.others.length === 3);
  await upstream.until(() => "rate_limited_events spent log_item" in reported(upstream));
  await upstream.until(() => "filtered_events ip-address span" in reported(upstream));
  assertEquals(reported(upstream), {
    "filtered_events ip-address span": 1,
    "rate_limited_events spent log_item": 1,
    "rate_limited_events spent log_byte": 2,
  });
});
