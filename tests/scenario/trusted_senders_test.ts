/** Projects that take envelopes from trusted relays only: control reference, sections 1 and 3. */
import { assert, assertEquals } from "@std/assert";
import { generateCredentials } from "../../src/config/credentials_file.ts";
import { SecretKey } from "../../src/protocol/signature.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { startManaged } from "../support/managed_node.ts";
import { startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedSentry } from "../support/scripted_sentry.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const trusted = SecretKey.generate();
const CONFIG = {
  trustedRelays: [trusted.publicKey.text],
  trustedRelaySettings: { verifySignature: "enabled" },
};

const SESSION = `{}\n{"type":"session"}\n{}\n`;

const signed = (key: SecretKey, timeMs = Date.now()) => ({
  "x-sentry-relay-signature": key.sign(new Uint8Array(), timeMs),
});

for (const exposure of ["internet", "load_balancer"]) {
  Deno.test(`signatures are checked at the edge, exposure ${exposure}`, async () => {
    await using upstream = ScriptedUpstream.start();
    const internal = SecretKey.generate();
    await using node = await startNode({
      upstream: upstream.url,
      config: {
        "relay.mode": "static",
        "listener.exposure": exposure,
        "auth.static_relays": {
          [crypto.randomUUID()]: { public_key: internal.publicKey.text, internal: true },
        },
      },
      files: {
        "projects/1.json": JSON.stringify({ publicKeys: [{ publicKey: TEST_KEY }], config: CONFIG }),
      },
    });
    const answerTo = async (headers: Record<string, string>, body = SESSION) => {
      const answer = await fetch(`${node.url}/api/1/envelope/?sentry_key=${TEST_KEY}`, {
        method: "POST",
        headers,
        body,
      });
      return [answer.status, (await answer.json()).detail];
    };
    const refused = (name: string) => [403, `event submission rejected with_reason: ${name}`];
    assertEquals(await answerTo({}), refused("MissingSignature"));
    assertEquals(await answerTo(signed(SecretKey.generate())), refused("InvalidSignature"));
    assertEquals(await answerTo(signed(trusted, Date.now() - 301_000)), refused("InvalidSignature"));
    assertEquals(await answerTo({ "x-sentry-relay-signature": "é" }), [
      400,
      "bad x-sentry-relay-signature header",
    ]);
    assertEquals(upstream.requests.length, 0);
    assertEquals((await answerTo(signed(trusted)))[0], 200);
    assertEquals((await answerTo(signed(internal)))[0], 200);
    const large = `{}\n{"type":"attachment","length":3000000}\n${"x".repeat(3_000_000)}\n`;
    assertEquals(await answerTo({}, large), refused("MissingSignature"));
    assertEquals((await answerTo(signed(trusted), large))[0], 200);
    await upstream.until(() => upstream.requests.length === 3);
    assertEquals(node.node.metrics.read(METRICS.outcomes, "invalid", "missing_signature", "session"), 1);
    assertEquals(node.node.metrics.read(METRICS.outcomes, "invalid", "invalid_signature", "session"), 2);
  });
}

Deno.test("a signature is as old as it was when the request came, however long its body takes", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await startNode({
    upstream: upstream.url,
    config: { "relay.mode": "static", "auth.signature_max_age": 2 },
    files: {
      "projects/1.json": JSON.stringify({ publicKeys: [{ publicKey: TEST_KEY }], config: CONFIG }),
    },
  });
  const signedAtMs = Date.now();
  const headers = signed(trusted, signedAtMs);
  const isOld = () => Date.now() - signedAtMs > 2500;
  const slowly = (size: number) => {
    const text = `{}\n{"type":"attachment","length":${size}}\n${"x".repeat(size)}\n`;
    const bytes = new TextEncoder().encode(text);
    return ReadableStream.from(async function* () {
      yield bytes.subarray(0, size);
      await until("the signature is old", isOld);
      yield bytes.subarray(size);
    }());
  };
  const post = async (body: BodyInit) => {
    const url = `${node.url}/api/1/envelope/?sentry_key=${TEST_KEY}`;
    const answer = await fetch(url, { method: "POST", headers, body });
    await answer.body?.cancel();
    return answer.status;
  };
  assertEquals(await Promise.all([post(slowly(1000)), post(slowly(3_000_000))]), [200, 200]);
  assertEquals(await post(SESSION), 403, "by now it is too old");
  await upstream.until(() => upstream.requests.length === 2);
});

Deno.test("what waited for its project is held against the signature it came with", async () => {
  const credentials = generateCredentials();
  await using sentry = ScriptedSentry.start();
  sentry.internals.add(credentials.publicKey);
  sentry.addProject(TEST_KEY, 1, CONFIG);
  sentry.pending.add(TEST_KEY);
  await using node = await startManaged({
    upstream: sentry.url,
    credentials,
    config: { "cache.project_request_full_config": true },
  });
  const unsigned = await postEvent(node.url);
  const good = await postEvent(node.url, { headers: signed(trusted) });
  const old = await postEvent(node.url, { headers: signed(trusted, Date.now() - 301_000) });
  assertEquals([unsigned.status, good.status, old.status], [200, 200, 200]);
  sentry.pending.clear();
  await sentry.upstream.until(() => sentry.upstream.accepted(good.eventId));
  await until("the others are settled", () => node.node.status().spool.waiting === 0);
  assert(!sentry.upstream.accepted(unsigned.eventId) && !sentry.upstream.accepted(old.eventId));
  assertEquals(node.node.metrics.read(METRICS.outcomes, "invalid", "missing_signature", "error"), 1);
  assertEquals(node.node.metrics.read(METRICS.outcomes, "invalid", "invalid_signature", "error"), 1);
  assertEquals((await postEvent(node.url)).status, 403);
});
