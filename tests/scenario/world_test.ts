/** `bench:world` in small: two cities, two PoPs and short lines, so that the bench stays what it says it is. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { drawChart } from "../bench/world/chart.ts";
import { loseRegion } from "../bench/world/lost_region.ts";
import { measureNodes, measureWorld } from "../bench/world/measure.ts";
import { REQUEST_KINDS, roundTrips, summarise } from "../bench/world/summary.ts";
import { WAYS, World } from "../bench/world/world.ts";
import type { Place, WorldMap } from "../bench/world/world_map.ts";
import { renderReport } from "../bench/world/world_report.ts";

const at = (name: string, continent: string, longitude: number): Place => ({
  name,
  continent,
  latitude: 0,
  longitude,
});

const SMALL: WorldMap = {
  model: { fibreKmPerMs: 200, routeFactor: 1, lastMileMs: 2, originMs: 5 },
  origin: at("Origin", "West", 0),
  pops: [at("Near", "West", 10), at("Far", "East", 40)],
  cities: [at("Westtown", "West", 12), at("Easttown", "East", 41)],
};

Deno.test("World: a near node is answered by sooner, and a lost region loses nothing acknowledged", async () => {
  await using world = await World.start(SMALL);
  const nodes = await measureNodes(world, 20);
  const measured = await measureWorld(world, 1, 200);
  const loss = await loseRegion(world, {
    pop: "Far",
    calmMs: 500,
    isolatedMs: 1000,
    unnoticedMs: 500,
    goneMs: 1000,
    intervalMs: 50,
    sdkRounds: 2,
  });
  const summary = summarise(world, measured, nodes, loss);

  for (const { city, roundTripMs, answerMs } of summary.rows) {
    for (const [kind, both] of answerMs.entries()) {
      for (const way of WAYS) {
        // Timers of the SDK's process are another clock's.
        const leastMs = roundTrips(REQUEST_KINDS[kind]!) * roundTripMs[way] - 1;
        assert(both[way] >= leastMs, `${city} ${way} ${kind}: ${both[way]} < ${leastMs}`);
      }
    }
  }
  assertEquals(summary.rows.map(({ pop }) => pop), ["Near", "Far"]);
  assertEquals([loss.lost, loss.refusedElsewhere, loss.cities], [0, 0, ["Easttown"]]);
  assert(loss.waitingAtDeath > 0, "the dead node's disk held what was acknowledged");
  assert(loss.refused > 0, "the dead node was missed");
  assert(loss.elsewhere.length > 0, "its city was served from elsewhere");
  const arrived = new Set(await world.arrived());
  assertEquals(measured.acknowledged.filter((id) => !arrived.has(id)), []);

  const chart = drawChart(summary);
  for (const { city } of summary.rows) assertStringIncludes(chart, `>${city}</text>`);
  assertStringIncludes(renderReport(summary, new Set(["West", "East"])), "Lost: **0**");
});
