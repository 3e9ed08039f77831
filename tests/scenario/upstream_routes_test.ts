/** Routes by organisation: records, uploads and whatever else a project's key asks for go the same way. */
import { assertEquals } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { LargeEnvelope, postLarge } from "../support/large_post.ts";
import { startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { type Behaviour, ScriptedUpstream, type UpstreamCall } from "../support/scripted_upstream.ts";
import { SinkUpstream } from "../support/sink_upstream.ts";
import { until } from "../support/until.ts";

const OTHER_KEY = "b".repeat(32);
const UPLOAD = "/api/1/upload/abc/?length=3";
const OTHERS = /^\/api\/(?:\d+\/(?:upload|unknown)\/|0\/organizations\/)/;
const TUS = { "tus-resumable": "1.0.0" };
const CHUNK = { ...TUS, "content-type": "application/offset+octet-stream", "upload-offset": "0" };

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const project = (key: string, organizationId: number) =>
  JSON.stringify({ organizationId, publicKeys: [{ publicKey: key }] });

/** Two upstreams that say where an upload goes on as absolute URLs of their own. */
function startUpstreams(): [ScriptedUpstream, ScriptedUpstream] {
  const start = (): ScriptedUpstream => {
    const respond = ({ method }: UpstreamCall): Behaviour =>
      method === "POST"
        ? { status: 201, headers: { Location: `${upstream.url}${UPLOAD}` } }
        : { status: 200 };
    const upstream = ScriptedUpstream.start({ routes: OTHERS, respond });
    return upstream;
  };
  return [start(), start()];
}

const targets = ({ others }: ScriptedUpstream) => others.map(({ method, path }) => `${method} ${path}`);

Deno.test("routes: an organisation's records and uploads go to its upstream, others to theirs, also after a change", async () => {
  const [first, next] = startUpstreams();
  await using _first = first;
  await using _next = next;
  const files = { "projects/1.json": project(TEST_KEY, 7), "projects/2.json": project(OTHER_KEY, 8) };
  const config = { "relay.mode": "static" };
  await using node = await startNode({ upstream: first.url, config, files });
  const route = async (organization: number) => {
    const upstreams = { next: { url: next.url } };
    const settings = { upstreams, upstream_routes: [{ organizations: [organization], to: "next" }] };
    await Deno.writeTextFile(`${node.folder}/config.yml`, JSON.stringify(settings));
    assertEquals((await node.node.reload("request")).result, "applied");
  };
  const ask = async (method: string, path: string, headers: Record<string, string>, body?: string) => {
    const answer = await fetch(`${node.url}${path}`, { method, headers, ...body && { body } });
    await answer.body?.cancel();
    return [answer.status, answer.headers.get("location")];
  };

  await route(7);
  const mine = await postEvent(node.url, { key: TEST_KEY, projectId: 1 });
  const theirs = await postEvent(node.url, { key: OTHER_KEY, projectId: 2 });
  await until("both arrive", () => next.accepted(mine.eventId) && first.accepted(theirs.eventId));

  const key = `sentry_key=${TEST_KEY}`;
  const created = await ask("POST", `/api/1/upload/?${key}`, { ...TUS, "upload-length": "3" });
  assertEquals(created, [201, UPLOAD]);
  assertEquals(await ask("PATCH", `${UPLOAD}&${key}`, CHUNK, "abc"), [200, null]);
  assertEquals(await ask("GET", `/api/1/unknown/?${key}`, {}), [200, null]);
  assertEquals(targets(next), [
    `POST /api/1/upload/?${key}`,
    `PATCH ${UPLOAD}&${key}`,
    `GET /api/1/unknown/?${key}`,
  ]);
  assertEquals(targets(first), []);
  const auth = { "x-sentry-auth": `Sentry sentry_key=${OTHER_KEY}` };
  assertEquals(await ask("GET", "/api/2/unknown/", auth), [200, null]);
  assertEquals(await ask("GET", "/api/0/organizations/", {}), [200, null]);
  assertEquals(targets(first), ["GET /api/2/unknown/", "GET /api/0/organizations/"]);

  await route(8);
  assertEquals(await ask("GET", `/api/1/unknown/?${key}`, {}), [200, null]);
  assertEquals(await ask("GET", "/api/2/unknown/", auth), [200, null]);
  assertEquals([targets(first).at(-1), targets(next).at(-1)], [
    `GET /api/1/unknown/?${key}`,
    "GET /api/2/unknown/",
  ]);
});

Deno.test("routes: large records for an upstream that is down leave their turns to those for others", async () => {
  await using well = new SinkUpstream();
  const down = ScriptedUpstream.start();
  await using _ = down;
  await down.down();
  const config = {
    "upstreams": { down: { url: down.url } },
    "upstream_routes": [{ keys: [TEST_KEY], to: "down" }],
    // Two of these are for large records.
    "limits.max_concurrent_requests": 8,
    "http.retry_delay": "100ms",
    "http.outage_grace_period": "100ms",
    "http.max_retry_interval": "200ms",
  };
  await using node = await startNode({ upstream: well.url, config });
  const { port } = new URL(node.url);
  const late = range(6).map((n) => new LargeEnvelope(n + 1, 1_200_000));
  for (const envelope of late) assertEquals(await postLarge(Number(port), envelope), 200);
  const { metrics } = node.node;
  await until("it is known to be down", () => metrics.read(METRICS.upstreamOutage) === 1);

  for (const n of range(4)) {
    const envelope = new LargeEnvelope(n + 100, 1_200_000);
    const body = new Blob([...envelope.pieces()].map((piece) => piece.slice()));
    const url = `${node.url}/api/1/envelope/?sentry_key=${OTHER_KEY}`;
    const answer = await fetch(url, { method: "POST", body });
    await answer.body?.cancel();
    assertEquals(answer.status, 200);
  }
  await until("those for the other upstream arrive", () => well.received.length === 4);
  down.up();
  await until("all arrive", () => down.requests.length >= late.length);
});
