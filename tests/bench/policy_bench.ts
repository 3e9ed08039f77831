/**
 * What policy costs per envelope: project checks, limits, filters, sampling and quotas, with many projects known.
 *
 * Every envelope is one event of 1.2 KB from the next project in turn, already parsed as an envelope. All contenders take
 * turns within each round; medians are printed. Time is that of the CPU, the garbage collector's included.
 *
 * Usage: deno task bench:policy [--rounds 9] [--envelopes 20000]
 */
import { cpuUsage } from "node:process";
import { utf8 } from "../../src/core/bytes.ts";
import { Admission } from "../../src/projects/admission.ts";
import { enforceLimits } from "../../src/projects/enforce_limits.ts";
import { ItemPolicy } from "../../src/projects/item_policy.ts";
import { projectDocument, projectStates } from "../../src/projects/project_state.ts";
import { ProjectTable } from "../../src/projects/project_table.ts";
import { QuotaCounters } from "../../src/projects/quotas/quota_counters.ts";
import { RateLimitTable } from "../../src/projects/rate_limit_table.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { benchFlags } from "./support/bench_flags.ts";
import { report } from "../support/report.ts";

const values = benchFlags({ rounds: "9", envelopes: "20000" });
const rounds = Number(values.rounds);
const envelopes = Number(values.envelopes);
const NOW_MS = 1_700_000_000_000;

const frames = Array.from(
  { length: 9 },
  (_, at) => ({ abs_path: `https://shop.test/assets/app-${at}.js`, lineno: at, colno: 7 }),
);
const event = JSON.stringify({
  message: "",
  release: "shop@2.1.0",
  platform: "javascript",
  request: {
    url: "https://shop.test/cart",
    headers: { "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" },
  },
  exception: { values: [{ type: "TypeError", value: "x is undefined", stacktrace: { frames } }] },
  padding: "x".repeat(300),
});
const envelope = parseEnvelope(
  utf8(`{"event_id":"${"c".repeat(32)}"}\n{"type":"event","length":${event.length}}\n${event}\n`),
);

const on = { isEnabled: true };
const KINDS = {
  "no rules": {},
  "address filter": { filterSettings: { clientIps: { blacklistedIps: ["198.51.100.0/24"] } } },
  "one quota": { quotas: [{ categories: ["error"], limit: 1e12, window: 3600 }] },
  "filters that read the event": {
    filterSettings: {
      browserExtensions: on,
      localhost: on,
      webCrawlers: on,
      legacyBrowsers: { ...on, options: ["default"] },
      errorMessages: { patterns: ["*ResizeObserver*", "Script error*"] },
      releases: { releases: ["shop@1.*"] },
    },
  },
} as const;

/** One envelope of each project in turn, again and again. */
function contender(config: object, projects: number): () => number {
  const keys = Array.from({ length: projects }, (_, at) => at.toString(16).padStart(32, "0"));
  const document = projectDocument.parse({
    projectId: 1,
    organizationId: 1,
    publicKeys: [{ publicKey: keys[0]! }],
    config,
  });
  const state = projectStates(document)[0]![1];
  const states = keys.map((key, at) => [key, { ...state, projectId: String(at + 1) }] as const);
  const table = new ProjectTable({ unknown: "refuse", overrideProjectIds: false, states });
  const admission = new Admission(table, new RateLimitTable());
  const policy = new ItemPolicy(new QuotaCounters());
  const stateOf = (key: string) => admission.stateOf(key);
  const sender = { eventId: envelope.eventId, remoteAddr: "203.0.113.7", userAgent: null };
  let next = 0;
  return () => {
    const started = cpuUsage();
    for (let i = 0; i < envelopes; i++) {
      const at = next = (next + 1) % projects;
      const key = keys[at]!;
      const verdict = admission.decide({ key, projectId: String(at + 1), origin: null }, NOW_MS);
      if (verdict.kind !== "admitted" || !verdict.state) throw new Error("every project is known");
      const { kept } = enforceLimits(envelope.items, verdict.limits, NOW_MS);
      const left = policy.apply({ envelope, items: kept, key, ...sender }, verdict.state, stateOf, NOW_MS);
      if (left.kept.length !== 1) throw new Error("nothing is taken out");
    }
    const { user, system } = cpuUsage(started);
    return (user + system) / envelopes;
  };
}

const sizes = [1, 10_000, 100_000];
const rows = Object.entries(KINDS).map(([name, config]) => ({
  name,
  contenders: sizes.map((size) => contender(config, size)),
  times: sizes.map((): number[] => []),
}));
// The rules of a project are compiled when it is first seen, which is not what is measured.
for (const { contenders } of rows) {
  contenders.forEach((run, at) => {
    for (let seen = 0; seen < sizes[at]! + envelopes; seen += envelopes) run();
  });
}
for (let round = 0; round < rounds; round++) {
  for (const { contenders, times } of rows) contenders.forEach((run, at) => times[at]!.push(run()));
}
const median = (times: number[]): string => times.toSorted((a, b) => a - b)[times.length >> 1]!.toFixed(2);
report(`µs per envelope by known projects: ${sizes.join(", ")}`);
for (const { name, times } of rows) report(`${name}: ${times.map(median).join("  ")}`);
