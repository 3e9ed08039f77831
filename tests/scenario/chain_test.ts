import { assert, assertEquals } from "@std/assert";
import { generateCredentials } from "../../src/config/credentials_file.ts";
import { utf8 } from "../../src/core/bytes.ts";
import { SecretKey } from "../../src/protocol/signature.ts";
import { startManaged } from "../support/managed_node.ts";
import { startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedSentry } from "../support/scripted_sentry.ts";
import { installSdkClients } from "../support/sdk_clients.ts";
import { until } from "../support/until.ts";

const { run, clients } = await installSdkClients();
const sdk = clients.find(({ name }) => name === "node_11")!;

function dsn(url: string): string {
  return `${url.replace("http://", `http://${TEST_KEY}@`)}/1`;
}

Deno.test("chain: an SDK, a node in mode proxy, a managed node, Sentry", async () => {
  const credentials = generateCredentials();
  await using sentry = ScriptedSentry.start();
  sentry.addProject(TEST_KEY, 1, { trustedRelays: [credentials.publicKey] });
  await using inner = await startManaged({ upstream: sentry.url, credentials });
  await using outer = await startNode({ upstream: inner.url });
  await run(sdk, dsn(outer.url));
  await sentry.upstream.until(() => sentry.upstream.requests.some(({ eventId }) => eventId !== null));
  assertEquals(sentry.upstream.requests.every(({ path }) => path === "/api/1/envelope/"), true);
});

Deno.test("chain: two managed nodes, the second one known and served by the first", async () => {
  const [near, far] = [generateCredentials(), generateCredentials()];
  await using sentry = ScriptedSentry.start();
  sentry.addProject(TEST_KEY, 1, { trustedRelays: [near.publicKey, far.publicKey] });
  await using first = await startManaged({ upstream: sentry.url, credentials: near });
  await using second = await startManaged({ upstream: first.url, credentials: far });
  await run(sdk, dsn(second.url));
  await sentry.upstream.until(() => sentry.upstream.requests.some(({ eventId }) => eventId !== null));
  assertEquals([...sentry.relays.keys()].sort(), [near.id, far.id].sort());
  const askers = new Set(
    sentry.callsOf("project_configs").map(({ call }) => call.headers.get("x-sentry-relay-id")),
  );
  assertEquals([...askers], [near.id], "only the first node asks Sentry for projects");
  assertEquals([first, second].map(({ node }) => node.status().phase), ["ready", "ready"]);
});

Deno.test("chain: three managed nodes, keys and projects resolved to the top", async () => {
  const identities = [generateCredentials(), generateCredentials(), generateCredentials()] as const;
  await using sentry = ScriptedSentry.start();
  sentry.addProject(TEST_KEY, 1, { trustedRelays: identities.map(({ publicKey }) => publicKey) });
  await using first = await startManaged({ upstream: sentry.url, credentials: identities[0] });
  await using second = await startManaged({ upstream: first.url, credentials: identities[1] });
  await using third = await startManaged({ upstream: second.url, credentials: identities[2] });
  const { eventId, status } = await postEvent(third.url);
  assertEquals(status, 200);
  await sentry.upstream.until(() => sentry.upstream.accepted(eventId), 20_000);
  await run(sdk, dsn(third.url));
  const events = () => sentry.upstream.requests.filter((call) => call.eventId !== null).length;
  await sentry.upstream.until(() => events() >= 2);
});

Deno.test("chain: a relay that the project does not trust gets nothing of it", async () => {
  const [near, far] = [generateCredentials(), generateCredentials()];
  await using sentry = ScriptedSentry.start();
  sentry.addProject(TEST_KEY, 1, { trustedRelays: [near.publicKey] });
  await using first = await startManaged({ upstream: sentry.url, credentials: near });
  await using second = await startManaged({ upstream: first.url, credentials: far });
  await until("the far node refuses", async () => (await postEvent(second.url)).status === 403);
  const { eventId, status } = await postEvent(first.url);
  assertEquals(status, 200);
  await sentry.upstream.until(() => sentry.upstream.accepted(eventId));
});

Deno.test("chain: a static internal relay gets the full form, questions without a good signature get 401", async () => {
  const near = generateCredentials();
  const far = SecretKey.generate();
  const id = crypto.randomUUID();
  await using sentry = ScriptedSentry.start();
  sentry.addProject(TEST_KEY, 1, { trustedRelays: [near.publicKey], eventRetention: 30 }, {
    upstream: "https://elsewhere.example/",
  });
  await using node = await startManaged({
    upstream: sentry.url,
    credentials: near,
    config: {
      "auth.static_relays": { [id]: { public_key: far.publicKey.text, internal: true } },
      "relay.advertised_upstream": "https://eu.example/",
    },
  });
  const ask = async (route: string, query: object, headers: Record<string, string> = {}) => {
    const body = JSON.stringify(query);
    const signed = {
      "x-sentry-relay-id": id,
      "x-sentry-relay-signature": far.sign(utf8(body), Date.now()),
      ...headers,
    };
    const answer = await fetch(`${node.url}/api/0/relays/${route}`, {
      method: "POST",
      body,
      headers: signed,
    });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
  };
  const configs = "projectconfigs/?version=3";
  const wanted = { publicKeys: [TEST_KEY, "nonsense"], fullConfig: true };

  assertEquals(await ask(configs, wanted), { status: 200, body: { configs: {}, pending: [TEST_KEY] } });
  await until("it is fetched", async () => (await ask(configs, wanted)).body.pending === undefined);
  const full = (await ask(configs, wanted)).body.configs[TEST_KEY];
  assertEquals([full.config.eventRetention, full.upstream], [30, "https://eu.example/"]);
  const limited = (await ask(configs, { publicKeys: [TEST_KEY] })).body.configs[TEST_KEY];
  assertEquals([limited.config.eventRetention, limited.config.trustedRelays], [undefined, [near.publicKey]]);
  assertEquals((await ask(configs, { ...wanted, revisions: [full.rev, null] })).body, {
    configs: {},
    unchanged: [TEST_KEY],
  });
  await until(
    "the global configuration is there",
    async () => (await ask(configs, { publicKeys: [], global: true })).body.globalStatus === "ready",
  );
  assertEquals((await ask(configs, { publicKeys: [], global: true })).body.global, sentry.global);

  assertEquals((await ask("projectconfigs/", wanted)).status, 400);
  assertEquals((await ask("projectconfigs/?version=2", wanted)).status, 400);
  const relays = (await ask("publickeys/", { relay_ids: [near.id, id, "no id"] })).body.relays;
  assertEquals(relays, {
    [near.id]: { publicKey: near.publicKey, internal: false },
    [id]: { publicKey: far.publicKey.text, internal: true },
    "no id": null,
  });
  assertEquals(await ask("outcomes/", { outcomes: [] }), { status: 202, body: {} });
  const [passedOn] = sentry.callsOf("outcomes");
  assertEquals(passedOn?.call.headers.get("x-sentry-relay-id"), near.id);

  const unsigned = await fetch(`${node.url}/api/0/relays/${configs}`, { method: "POST", body: "{}" });
  assertEquals([unsigned.status, await unsigned.json()], [401, {
    detail: "missing header: x-sentry-relay-id",
  }]);
  const stranger = crypto.randomUUID();
  assertEquals(await ask(configs, wanted, { "x-sentry-relay-id": stranger }), {
    status: 401,
    body: { detail: "unknown relay id" },
  });
  const { status, body } = await ask(configs, wanted, {
    "x-sentry-relay-signature": SecretKey.generate().sign(utf8(JSON.stringify(wanted)), Date.now()),
  });
  assertEquals([status, body.detail], [401, "invalid relay signature"]);
  const live = await fetch(`${node.url}/api/0/relays/live/`);
  assert(live.ok);
  await live.body?.cancel();
});
