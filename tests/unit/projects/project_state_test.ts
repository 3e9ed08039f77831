import { assert, assertEquals, assertThrows } from "@std/assert";
import { Admission } from "../../../src/projects/admission.ts";
import { enforceLimits } from "../../../src/projects/enforce_limits.ts";
import { projectDocument, projectStates } from "../../../src/projects/project_state.ts";
import { ProjectTable } from "../../../src/projects/project_table.ts";
import { RateLimitTable } from "../../../src/projects/rate_limit_table.ts";
import { parseEnvelope } from "../../../src/protocol/envelope.ts";
import { formatRateLimits } from "../../../src/protocol/rate_limit.ts";

const KEY = "a".repeat(32);
const OTHER = "b".repeat(32);

const parse = (document: unknown) => projectStates(projectDocument.parse(document));

Deno.test("projectStates: the minimal historic file allows everything (section 4)", () => {
  const states = parse({
    publicKeys: [{ publicKey: KEY, isEnabled: true }],
    config: { allowedDomains: ["*"] },
  });
  assertEquals(states, [[KEY, {
    disabled: false,
    projectId: null,
    organizationId: null,
    keyId: null,
    allowedDomains: ["*"],
    blockingQuotas: [],
    countedQuotas: [],
    features: [],
    filters: null,
    sampling: null,
    trustedSenders: null,
  }]]);
});

Deno.test("projectStates: one state per key, a key that is not enabled is disabled", () => {
  const states = parse({
    projectId: 42,
    publicKeys: [{ publicKey: KEY }, { publicKey: OTHER, isEnabled: false }],
  });
  assertEquals(states.map(([key, { disabled, projectId }]) => [key, disabled, projectId]), [
    [KEY, false, "42"],
    [OTHER, true, "42"],
  ]);
});

Deno.test("projectStates: fields a node does not use may hold anything", () => {
  assertEquals(
    parse({ publicKeys: [{ publicKey: KEY }], config: { piiConfig: 7, features: null }, new: [] }).length,
    1,
  );
});

Deno.test("projectDocument: a used field of the wrong type refuses the document", () => {
  for (const document of [{ disabled: "yes" }, { publicKeys: {} }, { config: { allowedDomains: "*" } }, []]) {
    assertThrows(() => projectDocument.parse(document));
  }
  assertThrows(() => projectDocument.parse({ publicKeys: [{ publicKey: "short" }] }));
});

/** Rows of control reference section 6: quota, and whether it blocks for organisation 1, project 42, key 7. */
const QUOTAS: readonly (readonly [Record<string, unknown>, boolean])[] = [
  [{ limit: 0 }, true],
  [{ limit: 0, categories: ["error"] }, true],
  [{ limit: 1, window: 60, categories: ["error"] }, false],
  [{ limit: null }, false],
  [{}, false],
  [{ limit: 0, categories: ["no_such_category"] }, false],
  [{ limit: 0, categories: ["no_such_category", "error"] }, true],
  [{ limit: 0, namespace: "custom" }, true],
  [{ limit: 0, namespace: "spans", categories: ["metric_bucket"] }, true],
  [{ limit: 0, namespace: "no_such_namespace" }, false],
  [{ limit: 0, namespace: "" }, false],
  [{ limit: 0, namespace: null, dimensions: null }, true],
  [{ limit: 0, dimensions: {} }, true],
  [{ limit: 0, dimensions: [] }, true],
  [{ limit: 0, dimensions: { environment: "prod" } }, false],
  [{ limit: 0, dimensions: ["environment"] }, false],
  [{ limit: 0, dimensions: "environment" }, false],
  [{ limit: 0, scope: "organization", scopeId: "1" }, true],
  [{ limit: 0, scope: "organization", scopeId: "2" }, false],
  [{ limit: 0, scope: "project", scopeId: "42" }, true],
  [{ limit: 0, scope: "project", scopeId: "43" }, false],
  [{ limit: 0, scope: "key", scopeId: "7" }, true],
  [{ limit: 0, scope: "key", scopeId: "not-a-number" }, false],
  [{ limit: 0, scope: "galaxy" }, true],
  [{ limit: 0, scope: "galaxy", scopeId: "1" }, false],
];

for (const [quota, blocks] of QUOTAS) {
  Deno.test(`projectStates: quota ${JSON.stringify(quota)} ${blocks ? "blocks" : "does not block"} (section 6)`, () => {
    const states = parse({
      projectId: 42,
      organizationId: 1,
      publicKeys: [{ publicKey: KEY, numericId: 7 }],
      config: { quotas: [quota] },
    });
    assertEquals(states[0]![1].blockingQuotas.length, blocks ? 1 : 0);
  });
}

Deno.test("a quota with a namespace is announced to who sends metrics, and holds for nothing else (section 6)", () => {
  const states = parse({
    publicKeys: [{ publicKey: KEY }],
    config: { quotas: [{ limit: 0, namespace: "custom", reasonCode: "full" }] },
  });
  const table = new ProjectTable({ unknown: "refuse", overrideProjectIds: false, states });
  const verdict = new Admission(table, new RateLimitTable()).decide(
    { key: KEY, projectId: "", origin: null },
    1000,
  );
  assert(verdict.kind === "admitted");
  const body = new TextEncoder().encode(
    `{}\n{"type":"statsd"}\n{}\n{"type":"event"}\n{}\n{"type":"span"}\n{}\n`,
  );
  const { items } = parseEnvelope(body);
  const { kept, applied, dropped } = enforceLimits(items, verdict.limits, 1000);
  assertEquals([kept.length, dropped], [3, []]);
  assertEquals(formatRateLimits(applied, 1000), "60::organization:full:custom");
  assertEquals(enforceLimits(items.slice(1), verdict.limits, 1000).applied, []);
});

Deno.test("ProjectTable: keys without a state are forwarded or refused as the mode says", () => {
  const states = parse({ publicKeys: [{ publicKey: KEY }] });
  const proxy = new ProjectTable({ unknown: "forward", overrideProjectIds: false, states });
  const fixed = new ProjectTable({ unknown: "refuse", overrideProjectIds: false, states });
  assertEquals(proxy.lookup(KEY).kind, "known");
  assertEquals(proxy.lookup(OTHER), { kind: "unknown", forward: true });
  assertEquals(fixed.lookup(OTHER), { kind: "unknown", forward: false });
  assertEquals(fixed.size, 1);
});

/** Rows of control reference section 6: quota, and how the node counts it for organisation 1, project 42, key 7. */
const COUNTED: readonly (readonly [Record<string, unknown>, Record<string, unknown> | null])[] = [
  [{ limit: 5, window: 60, categories: ["error"] }, {
    id: "error",
    limit: 5,
    windowSeconds: 60,
    scope: "organization",
  }],
  [{ limit: 5, window: 60, categories: ["error"], id: "q", scope: "key" }, { id: "q", scope: "key" }],
  [{ limit: 5, window: 60, categories: ["error", "transaction"], reasonCode: "r" }, { reason: "r" }],
  [{ limit: 5, window: 60, categories: ["attachment", "log_byte"] }, {
    categories: ["attachment", "log_byte"],
  }],
  [{ limit: 5, window: 60, categories: ["attachment", "error"] }, null],
  [{ limit: 5, window: 60, categories: ["profile_duration", "error"] }, null],
  [{ limit: 5, window: 60 }, null],
  [{ limit: 5, categories: ["error"] }, null],
  [{ limit: null, window: 60, categories: ["error"] }, null],
  [{ limit: 5, window: 60, categories: ["no_such_category"] }, null],
  [{ limit: 5, window: 60, categories: ["error"], namespace: "custom" }, null],
  [{ limit: 5, window: 60, categories: ["error"], dimensions: { environment: "prod" } }, null],
  [{ limit: 5, window: 60, categories: ["error"], dimensions: {} }, { id: "error" }],
  [{ limit: 5, window: 60, categories: ["error"], scope: "project", scopeId: 42 }, { scope: "project" }],
  [{ limit: 5, window: 60, categories: ["error"], scope: "project", scopeId: "43" }, null],
];

for (const [quota, expected] of COUNTED) {
  Deno.test(`projectStates: quota ${JSON.stringify(quota)} is ${expected ? "" : "not "}counted (section 6)`, () => {
    const states = parse({
      projectId: 42,
      organizationId: 1,
      publicKeys: [{ publicKey: KEY, numericId: 7 }],
      config: { quotas: [quota] },
    });
    const [counted] = states[0]![1].countedQuotas;
    assertEquals(counted === undefined, expected === null);
    assertEquals({ ...counted, ...expected }, { ...counted });
  });
}

Deno.test("projectStates: sampling under its older name, and a filter of the wrong type", () => {
  const rules = [{ id: 1, type: "trace", samplingValue: { type: "sampleRate", value: 0 } }];
  const [state] = parse({
    publicKeys: [{ publicKey: KEY }],
    config: { dynamicSampling: { version: 2, rules }, filterSettings: { webCrawlers: { isEnabled: true } } },
  });
  assertEquals([state![1].sampling?.rules.length, state![1].filters?.webCrawlers], [1, { isEnabled: true }]);
  assertThrows(() => projectDocument.parse({ config: { filterSettings: { localhost: true } } }));
});
