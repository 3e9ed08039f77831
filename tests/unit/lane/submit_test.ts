import { assertEquals } from "@std/assert";
import { Submitter } from "../../../src/lane/submit.ts";
import { Admission } from "../../../src/projects/admission.ts";
import { ProjectTable } from "../../../src/projects/project_table.ts";
import { OutcomeLedger } from "../../../src/outcomes/outcome_ledger.ts";
import { ItemPolicy } from "../../../src/projects/item_policy.ts";
import { projectDocument, projectStates } from "../../../src/projects/project_state.ts";
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

/** A submitter, and what it stored and asked for. */
function fixture(projects: ProjectTable) {
  const clock = new ManualClock();
  const limits = new RateLimitTable();
  const stored: SpoolRecord[] = [];
  const wanted: string[] = [];
  const metrics = new Metrics(METRIC_LAYOUT);
  const admission = new Admission(projects, limits);
  const submitter = new Submitter({
    ledger: new OutcomeLedger(metrics, false),
    policy: new ItemPolicy(new QuotaCounters()),
    admission,
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
  const submit = (key: string, text: string, receivedAtMs = clock.now()) => {
    const body = new TextEncoder().encode(text);
    return submitter.submit({
      meta: errorMeta(key),
      envelope: parseEnvelope(body),
      body: [body],
      receivedAtMs,
    });
  };
  return { clock, limits, admission, stored, wanted, submit };
}

Deno.test("Submitter: what has no project state yet is stored as it came, and its key wanted", async () => {
  const projects = new ProjectTable({ unknown: "wait", overrideProjectIds: false, states: [] });
  const { clock, limits, stored, wanted, submit } = fixture(projects);
  const text = `{}\n{"type":"event"}\n{}\n`;
  const receivedAtMs = clock.now() - 5000;
  assertEquals(await submit("a", text, receivedAtMs), []);
  assertEquals([stored.length, wanted], [1, ["a"]]);
  assertEquals([stored[0]!.body, stored[0]!.receivedAtMs], [[new TextEncoder().encode(text)], receivedAtMs]);
  assertEquals(decodeRequestMeta(stored[0]!.meta).projectId, "1");

  // A limit that was learned holds all the same.
  const limit = { categories: [], scope: "key", reason: "quota", namespaces: [] } as const;
  limits.learn("a", [{ ...limit, expiresAtMs: clock.now() + 1000 }], clock.now());
  assertEquals((await submit("a", text)).length, 1);
  assertEquals(stored.length, 1);
});

const OWN = "a".repeat(32);
const ROOT = "b".repeat(32);
const TRACE = "0123456789abcdef0123456789abcdef";

/** Keys that are known, what is sent to OWN, what is wanted, and what the record says of its root and policy. */
const ROOTS: readonly (readonly [
  what: string,
  known: readonly string[],
  unknown: "wait" | "forward" | "refuse",
  sent: readonly [type: string, root: string | null],
  wanted: readonly string[],
  meta: { rootKey?: string; isPoliced?: true },
])[] = [
  ["its root unknown", [OWN], "wait", ["transaction", ROOT], [ROOT], { rootKey: ROOT }],
  ["both unknown", [], "wait", ["transaction", ROOT], [OWN, ROOT], { rootKey: ROOT }],
  ["itself unknown", [ROOT], "wait", ["transaction", ROOT], [OWN], { rootKey: ROOT }],
  ["both known", [OWN, ROOT], "wait", ["transaction", ROOT], [], { isPoliced: true }],
  ["its own trace", [OWN], "wait", ["transaction", OWN], [], { isPoliced: true }],
  ["no trace", [OWN], "wait", ["transaction", null], [], { isPoliced: true }],
  ["a trace that cannot be read", [OWN], "wait", ["transaction", "x"], [], { isPoliced: true }],
  ["an error, which is not sampled", [OWN], "wait", ["event", ROOT], [], { isPoliced: true }],
  ["static mode, its root unknown", [OWN], "refuse", ["transaction", ROOT], [], { isPoliced: true }],
  ["proxy mode, nothing known", [], "forward", ["transaction", ROOT], [], {}],
];

for (const [what, known, unknown, [type, root], asked, expected] of ROOTS) {
  Deno.test(`Submitter: root of a trace: ${what}`, async () => {
    const states = known.flatMap((publicKey) =>
      projectStates(projectDocument.parse({ projectId: 1, publicKeys: [{ publicKey }] }))
    );
    const { stored, wanted, submit } = fixture(
      new ProjectTable({ unknown, overrideProjectIds: false, states }),
    );
    const head = root === null ? {} : { trace: { trace_id: TRACE, public_key: root } };
    assertEquals(await submit(OWN, `${JSON.stringify(head)}\n{"type":"${type}"}\n{}\n`), []);
    const { rootKey, isPoliced } = decodeRequestMeta(stored[0]!.meta);
    assertEquals(wanted, [...asked]);
    assertEquals({ ...rootKey && { rootKey }, ...isPoliced && { isPoliced } }, expected);
  });
}
