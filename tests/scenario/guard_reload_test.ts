/** The guard of a node that is under attack: what an operator changes about it counts at once, and forgets nothing. */
import { assert, assertEquals } from "@std/assert";
import { renderExposition } from "../../src/telemetry/exposition.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { requestFrom, statusesOf } from "../support/client_from.ts";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";

/** Hardly leaks while a test runs. */
const SLOW = "6r/h";
const PROXY = "127.0.0.1";

/** Takes over a configuration file with these sections. @returns keys that need a restart */
async function reconfigure({ node, folder }: NodeFixture, sections: object): Promise<string[]> {
  await Deno.writeTextFile(`${folder}/config.yml`, JSON.stringify(sections));
  const result = await node.reload("request");
  assert(result.result === "applied", JSON.stringify(result));
  return result.restart.map(({ key }) => key);
}

for (const exposure of EXPOSURES) {
  const start = (upstream: ScriptedUpstream): Promise<NodeFixture> =>
    startNode({ upstream: upstream.url, config: { "listener.exposure": exposure } });
  const listener = { trusted_proxies: [`${PROXY}/32`] };

  Deno.test(`guard reload, ${exposure}: zones, lists and rules change under attack, and go on counting`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await start(upstream);
    const { port } = node.node;
    const client = { port, from: "127.0.0.2" };
    const zone = { key: "address", rate: SLOW, burst: 2 };
    assertEquals(await reconfigure(node, { listener, guard: { zones: [zone] } }), []);
    assertEquals(await statusesOf(4, client), [200, 200, 200, 429]);
    // One more than before, not three: the zone knows who came already.
    await reconfigure(node, { listener, guard: { zones: [{ ...zone, burst: 3 }] } });
    assertEquals(await statusesOf(2, client), [200, 429]);
    assertEquals(node.node.metrics.total(METRICS.guardZone, { zone: "address", result: "refused" }), 2);
    // Other keys, so nobody is known.
    const other = { name: "address", key: "project_id+address", rate: SLOW, burst: 0 };
    await reconfigure(node, { listener, guard: { zones: [other] } });
    assertEquals(await statusesOf(2, client), [200, 429]);
    const bans = [{ on: ["rate"], refusals: 2, within: "1h", ban: "1h" }];
    await reconfigure(node, { listener, guard: { zones: [other], bans } });
    assertEquals(await statusesOf(3, client), [429, 429, 403]);
    assertEquals(node.node.guard.bans().map(({ address }) => address), ["127.0.0.2"]);
    // Whoever is banned stays so, in a larger list without rules, until it is allowed.
    await reconfigure(node, { listener, guard: { zones: [], bans_max: 20_000 } });
    assertEquals(await statusesOf(1, client), [403]);
    await reconfigure(node, { listener, guard: { zones: [], allow: { addresses: ["127.0.0.2"] } } });
    assertEquals(await statusesOf(1, client), [200]);
    await reconfigure(node, { listener, guard: { zones: [], deny: { user_agents: ["*bad*"] } } });
    assertEquals((await requestFrom({ port, from: "127.0.0.3", userAgent: "bad/1" })).status, 403);
    assertEquals((await requestFrom({ port, from: "127.0.0.3", userAgent: "good/1" })).status, 200);
    // A zone that is gone is no series any more.
    assert(!renderExposition(node.node.metrics).includes('zone="'));
  });

  Deno.test(`guard reload, ${exposure}: whose word counts changes for the next request`, async () => {
    await using upstream = ScriptedUpstream.start();
    await using node = await start(upstream);
    const { port } = node.node;
    const deny = { addresses: ["198.51.100.1"] };
    const client = { port, from: "127.0.0.5", forwardedFor: "198.51.100.1" };
    await reconfigure(node, { listener: { trusted_proxies: ["127.0.0.5"] }, guard: { deny } });
    assertEquals(await statusesOf(1, client), [403]);
    await reconfigure(node, { listener: { trusted_proxies: [] }, guard: { deny } });
    assertEquals(await statusesOf(1, client), [200]);
    await upstream.until(() => upstream.requests.length === 1);
    assertEquals(upstream.requests[0]!.headers.get("x-forwarded-for"), "127.0.0.5");
  });
}
