/** The browser SDK in a real Chromium, and the browser's own reports: all of it arrives. */
import { assert, assertEquals } from "@std/assert";
import { ChromiumClient, findChromium } from "../support/chromium_client.ts";
import { type NodeVariant, testEachNode } from "../support/each_node.ts";
import { NodeProcess } from "../support/node_process.ts";
import { RecordingProxy } from "../support/recording_proxy.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { installSdkClients } from "../support/sdk_clients.ts";
import { splitEnvelope } from "../support/split_envelope.ts";
import { sha256 } from "../support/test_cache.ts";
import { until } from "../support/until.ts";

/** What a page sends by itself, straight as well as through the tunnel. */
const ITEM_TYPES = ["attachment", "event", "log", "replay_event", "replay_recording", "session"];

const chromium = await findChromium();
if (chromium === null) {
  report("The browser SDK is not tested in a browser: no Chromium here (CHROMIUM names one)");
}

testEachNode("Chromium: errors, sessions, replays and security reports arrive", sendFromChromium, {
  ignore: chromium === null,
});

async function sendFromChromium(t: Deno.TestContext, variant: NodeVariant): Promise<void> {
  const { folder } = await installSdkClients();
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({
    ...variant,
    upstream: upstream.url,
    config: { listener: { tunnel: { path: "/tunnel", allowed_hosts: ["127.0.0.1"] } } },
  });
  await using wire = new RecordingProxy(node.port);
  await using browser = ChromiumClient.start(folder, {
    chromium: chromium!,
    dsn: node.dsn(1, wire.port),
    tunnel: `http://127.0.0.1:${wire.port}/tunnel`,
  });
  const version = await browser.done();
  const reports = () =>
    upstream.requests.filter(({ items }) => items.some(({ headers }) => headers.type === "raw_security"));
  // Replays go on sending, so what is judged is what had been sent when all of that had arrived.
  let recorded = wire.requests();
  const sent = (path: string) =>
    recorded.filter(({ method, target }) => method === "POST" && target.startsWith(path));
  await until("two security reports and every envelope arrive", () => {
    recorded = wire.requests();
    const envelopes = sent("/api/1/envelope/").length + sent("/tunnel").length;
    return reports().length >= 2 && upstream.requests.length >= envelopes + reports().length;
  });

  for (const path of ["/api/1/envelope/", "/tunnel"]) {
    await t.step(`the SDK sends to ${path} and everything arrives unchanged`, () => {
      const requests = sent(path);
      const types = requests.flatMap(({ body }) =>
        splitEnvelope(body).items.map(({ headers }) => headers.type)
      );
      assertEquals(ITEM_TYPES.filter((type) => !types.includes(type)), []);
      const arrived = new Set(upstream.requests.map(({ body }) => sha256(body)));
      assertEquals(requests.filter(({ body }) => !arrived.has(sha256(body))), []);
    });
  }
  await t.step("report-uri: the report arrives as it was sent", () => {
    const request = sent("/api/1/security/").find(({ headers }) =>
      headers.get("content-type") === "application/csp-report"
    );
    const item = reports().map(({ items }) => items[0]!).find(({ payload }) =>
      sha256(payload) === sha256(request!.body)
    );
    assertEquals(item?.headers.sentry_release, "shop@3.0.0");
  });
  await t.step("Reporting API: the preflight is answered and the report arrives alone", () => {
    assert(recorded.some(({ method }) => method === "OPTIONS"), "the browser asked first");
    const request = sent("/api/1/security/").find(({ headers }) =>
      headers.get("content-type") === "application/reports+json"
    );
    const [violation] = JSON.parse(new TextDecoder().decode(request!.body));
    const payloads = reports().map(({ items }) => JSON.parse(new TextDecoder().decode(items[0]!.payload)));
    assertEquals(payloads.find(({ type }) => type === "csp-violation"), violation);
  });
  assertEquals(wire.statuses().filter((status) => status !== 200), []);
  report(`${version}: ${upstream.requests.length} envelopes arrived`);
}
