/** The README's runbook is executed as far as a machine can: its keys are accepted, its metrics exist. */
import { assert, assertEquals } from "@std/assert";
import { loadConfig } from "../../src/config/load_config.ts";
import { METRIC_LAYOUT } from "../../src/telemetry/catalogue.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { readReadme } from "../support/readme_tables.ts";

const readme = await readReadme();
const part = (title: string): string => {
  const start = readme.indexOf(`\n### ${title}\n`);
  assert(start >= 0, title);
  const end = readme.slice(start + 5).search(/\n##/);
  return readme.slice(start, start + 5 + end);
};

Deno.test("README, Roll out: each phase is a configuration, with the shares the table states", () => {
  const phases = [...part("Roll out").matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
  const weights = phases.map((text) => {
    const files = { "/pop/config.yml": text };
    const { upstreams, upstreamRoutes } = loadConfig({ dir: "/pop", sources: fakeSources({ files }) }).config;
    const entries = upstreams as Readonly<Record<string, { readonly weight: number | null }>>;
    return [entries.default?.weight ?? 1, entries.next!.weight, upstreamRoutes.length];
  });
  assertEquals(weights, [[1, 0, 1], [1, 1, 0], [0, 1, 0]]);
});

Deno.test("README, Roll out and Capacity: every metric that is to be watched exists", () => {
  const known = new Set(METRIC_LAYOUT.specs.map(({ name }) => name));
  const named = [...`${part("Roll out")}${part("Capacity")}`.matchAll(/`(landfall_\w+)/g)].map((match) =>
    match[1]!
  );
  assert(named.length >= 10);
  assertEquals(named.filter((name) => !known.has(name as never)), []);
});
