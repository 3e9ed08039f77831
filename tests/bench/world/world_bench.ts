/**
 * The headline: what clients all over the world wait for an event's answer, straight to a distant origin and through the
 * nearest node, on a world of the right size made of delayed lines on the loopback. Then a region is lost under load.
 *
 * Writes the chart (`src/assets/world.svg`) and its part of the README, and prints the same tables. About three minutes.
 *
 * Usage: deno task bench:world [--rounds 8] [--pause-ms 3000] [--node-requests 200] [--dry]
 */
import { drawChart } from "./chart.ts";
import { loseRegion, type LossPlan } from "./lost_region.ts";
import { measureNodes, measureWorld } from "./measure.ts";
import { summarise } from "./summary.ts";
import { World } from "./world.ts";
import { EARTH } from "./world_map.ts";
import { renderReport } from "./world_report.ts";
import { benchFlags } from "../support/bench_flags.ts";

const values = benchFlags({
  rounds: "8",
  "pause-ms": "3000",
  "node-requests": "200",
  /** Writes nothing. */
  dry: false,
});

const LOSS: LossPlan = {
  pop: "Frankfurt",
  calmMs: 5000,
  isolatedMs: 4000,
  unnoticedMs: 3000,
  goneMs: 8000,
  intervalMs: 600,
  sdkRounds: 8,
};

const ROOT = new URL("../../../", import.meta.url);

await using world = await World.start(EARTH);
const nodes = await measureNodes(world, Number(values["node-requests"]));
const measured = await measureWorld(world, Number(values.rounds), Number(values["pause-ms"]));
const summary = summarise(world, measured, nodes, await loseRegion(world, LOSS));
const ids = new Set(await world.arrived());
if (!measured.acknowledged.every((id) => ids.has(id))) throw new Error("An acknowledged event never arrived");

const report = renderReport(summary, new Set(EARTH.pops.map(({ continent }) => continent)));
// deno-lint-ignore no-console
console.log(report);
if (!values.dry) {
  const readme = new URL("README.md", ROOT);
  const between = /(<!-- world: begin -->)[^]*(<!-- world: end -->)/;
  const text = await Deno.readTextFile(readme);
  await Deno.writeTextFile(
    readme,
    text.replace(between, (_, begin, end) => `${begin}\n\n${report}\n\n${end}`),
  );
  await Deno.writeTextFile(new URL("src/assets/world.svg", ROOT), drawChart(summary));
}
