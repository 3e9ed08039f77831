import { assertEquals } from "@std/assert";
import { Submitter } from "../../../src/lane/submit.ts";
import { Admission } from "../../../src/projects/admission.ts";
import { ProjectTable } from "../../../src/projects/project_table.ts";
import { OutcomeLedger } from "../../../src/outcomes/outcome_ledger.ts";
import { ItemPolicy } from "../../../src/projects/item_policy.ts";
import { QuotaCounters } from "../../../src/projects/quotas/quota_counters.ts";
import { RateLimitTable } from "../../../src/projects/rate_limit_table.ts";
import { parseEnvelope } from "../../../src/protocol/envelope.ts";
import { DEFAULT_ITEM_LIMITS } from "../../../src/protocol/item_limits.ts";
import { decodeRequestMeta } from "../../../src/protocol/request_meta.ts";
import type { SpoolRecord } from "../../../src/spool/record.ts";
import { SpoolPressure } from "../../../src/spool/spool_pressure.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { errorMeta } from "../../support/record_meta.ts";

Deno.test("Submitter: what has no project state yet is stored as it came, and its key wanted", async () => {
  const clock = new ManualClock();
  const limits = new RateLimitTable();
  const projects = new ProjectTable({ unknown: "wait", overrideProjectIds: false, states: [] });
  const stored: SpoolRecord[] = [];
  const wanted: string[] = [];
  const metrics = new Metrics(METRIC_LAYOUT);
  const submitter = new Submitter({
    ledger: new OutcomeLedger(metrics, false),
    policy: new ItemPolicy(new QuotaCounters()),
    admission: new Admission(projects, limits),
    sink: {
      append: (record) => Promise.resolve(void stored.push(record)),
      openLarge: () => Promise.reject(new Error("no body is large")),
      close: () => Promise.resolve(),
    },
    clock,
    metrics,
    itemLimits: DEFAULT_ITEM_LIMITS,
    acceptUnknownItems: true,
    onWanted: (key) => wanted.push(key),
    pressure: new SpoolPressure({
      budget: { bytesUsed: 0, bytesMax: 1 },
      clock,
      bulkyShare: 1,
      costlyShare: 1,
    }),
  });
  const body = new TextEncoder().encode(`{}\n{"type":"event"}\n{}\n`);
  const receivedAtMs = clock.now() - 5000;
  const submit = () =>
    submitter.submit({ meta: errorMeta("a"), envelope: parseEnvelope(body), body: [body], receivedAtMs });
  assertEquals(await submit(), []);
  assertEquals([stored.length, wanted], [1, ["a"]]);
  assertEquals([stored[0]!.body, stored[0]!.receivedAtMs], [[body], receivedAtMs]);
  assertEquals(decodeRequestMeta(stored[0]!.meta).projectId, "1");

  // A limit that was learned holds all the same.
  const limit = { categories: [], scope: "key", reason: "quota", namespaces: [] } as const;
  limits.learn("a", [{ ...limit, expiresAtMs: clock.now() + 1000 }], clock.now());
  assertEquals((await submit()).length, 1);
  assertEquals(stored.length, 1);
});
