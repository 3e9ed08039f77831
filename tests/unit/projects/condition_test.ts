/** Conditions, one row per operator and path: control reference, section 8 ("Condition DSL"). */
import { assertEquals } from "@std/assert";
import { compileCondition } from "../../../src/projects/condition.ts";
import type { Subject } from "../../../src/projects/condition_field.ts";

const subject: Subject = {
  trace: {
    traceId: "a".repeat(32),
    publicKey: "b".repeat(32),
    release: "app@1.2",
    environment: "prod",
    transaction: "/root",
    userId: "42",
    userSegment: "",
    replayId: "67E5504410B1426F9247BB680E5FE0C8",
  },
  event: {
    type: "transaction",
    release: "shop@2.0",
    environment: "Production",
    transaction: "/cart",
    start_timestamp: 100,
    timestamp: "1970-01-01T00:01:41.500Z",
    user: { id: "u1", ip_address: "10.1.2.3", email: null },
    request: { url: "https://x.test/", headers: [["User-Agent", "Bot"]] },
    tags: [["color", "red"], ["n", "7"]],
    extra: { deep: { list: 3, flag: true } },
    contexts: { browser: { name: "Chrome" } },
    measurements: { lcp: { value: 12.5 } },
    exception: { values: [{ type: "TypeError", value: "x" }, { type: "Error", value: "boom" }] },
    logentry: { message: "hello %s", formatted: "hello you" },
  },
};

const eq = (name: string, value: unknown, options = {}) => ({ op: "eq", name, value, options });
const NEVER = { op: "or", inner: [] };
const ALWAYS = { op: "and", inner: [] };

const ROWS: readonly (readonly [rule: string, condition: unknown, matches: boolean | null])[] = [
  ["eq text", eq("event.release", "shop@2.0"), true],
  ["eq minds the case", eq("event.environment", "production"), false],
  ["eq ignoreCase", eq("event.environment", "production", { ignoreCase: true }), true],
  ["eq text in array", eq("event.environment", ["dev", "Production"]), true],
  ["eq text in array, ignoreCase", eq("event.environment", ["PRODUCTION"], { ignoreCase: true }), true],
  ["eq array without it", eq("event.environment", ["dev", 1]), false],
  ["eq id without dashes", eq("trace.replay_id", "67e55044-10b1-426f-9247-bb680e5fe0c8"), true],
  ["eq another id", eq("trace.replay_id", "67e55044-10b1-426f-9247-bb680e5fe0c9"), false],
  ["eq address", eq("event.user.ip_address", "::ffff:10.1.2.3"), true],
  ["eq flag", eq("event.extra.deep.flag", true), true],
  ["eq other flag", eq("event.extra.deep.flag", false), false],
  ["eq numbers are never equal", eq("event.extra.deep.list", 3), false],
  ["eq missing is null", eq("event.dist", null), true],
  ["eq null is null", eq("event.user.email", null), true],
  ["eq present is not null", eq("event.release", null), false],
  ["eq unknown name is missing", eq("span.op", null), true],
  ["eq missing is not text", eq("event.dist", "1"), false],
  ["eq empty user.segment is missing", eq("trace.user.segment", null), true],
  ["gt", { op: "gt", name: "event.duration", value: 1499 }, true],
  ["gt equal", { op: "gt", name: "event.duration", value: 1500 }, false],
  ["gte equal", { op: "gte", name: "event.duration", value: 1500 }, true],
  ["lt", { op: "lt", name: "event.measurements.lcp", value: 13 }, true],
  ["lt with .value", { op: "lt", name: "event.measurements.lcp.value", value: 12.5 }, false],
  ["lte", { op: "lte", name: "event.measurements.lcp", value: 12.5 }, true],
  ["gt text", { op: "gt", name: "event.release", value: "shop@1.9" }, true],
  ["gt missing", { op: "gt", name: "event.measurements.fid", value: 0 }, false],
  ["lt missing", { op: "lt", name: "event.measurements.fid", value: 9 }, false],
  ["gt number with text", { op: "gt", name: "event.duration", value: "1" }, false],
  ["glob", { op: "glob", name: "event.transaction", value: ["/x*", "/CAR?"] }, true],
  ["glob without match", { op: "glob", name: "event.transaction", value: ["/x*"] }, false],
  ["glob missing", { op: "glob", name: "event.dist", value: ["*"] }, false],
  ["cidr", { op: "cidr", name: "event.user.ip_address", value: ["10.0.0.0/8", "nonsense"] }, true],
  ["cidr other", { op: "cidr", name: "event.user.ip_address", value: ["11.0.0.0/8"] }, false],
  ["cidr no address", { op: "cidr", name: "event.release", value: ["0.0.0.0/0"] }, false],
  ["and empty", ALWAYS, true],
  ["or empty", NEVER, false],
  ["and", { op: "and", inner: [ALWAYS, eq("event.platform", "other")] }, true],
  ["and one false", { op: "and", inner: [ALWAYS, NEVER] }, false],
  ["or", { op: "or", inner: [NEVER, ALWAYS] }, true],
  ["not", { op: "not", inner: NEVER }, true],
  ["any", { op: "any", name: "event.exceptions", inner: eq("ty", "Error") }, true],
  ["any by the other path", { op: "any", name: "event.exception.values", inner: eq("value", "boom") }, true],
  ["any none", { op: "any", name: "event.exceptions", inner: eq("ty", "KeyError") }, false],
  [
    "all",
    { op: "all", name: "event.exceptions", inner: { op: "glob", name: "ty", value: ["*Error"] } },
    true,
  ],
  ["all but one", { op: "all", name: "event.exceptions", inner: eq("ty", "Error") }, false],
  ["any missing", { op: "any", name: "event.breadcrumbs", inner: ALWAYS }, false],
  ["all missing", { op: "all", name: "event.breadcrumbs", inner: ALWAYS }, false],
  ["unknown operator", { op: "regex", name: "event.release", value: ".*" }, null],
  ["unknown operator within", { op: "not", inner: { op: "or", inner: [{ op: "regex" }] } }, null],
  ["malformed", { op: "glob", name: "event.release", value: [1] }, null],
  ["no object", "eq", null],
  ["trace.release", eq("trace.release", "app@1.2"), true],
  ["trace.environment", eq("trace.environment", "prod"), true],
  ["trace.transaction", eq("trace.transaction", "/root"), true],
  ["trace.user.id", eq("trace.user.id", "42"), true],
  ["trace.other", eq("trace.other", null), true],
  ["event.tags", eq("event.tags.color", "red"), true],
  ["event.request.url", eq("event.request.url", "https://x.test/"), true],
  ["event.request.headers", eq("event.request.headers.user-agent", "Bot"), true],
  ["event.contexts", eq("event.contexts.browser.name", "Chrome"), true],
  ["event.logentry.formatted", eq("event.logentry.formatted", "hello you"), true],
  ["no prototype", eq("event.extra.constructor.name", null), true],
];

for (const [rule, raw, matches] of ROWS) {
  Deno.test(`condition: ${rule}`, () => {
    const condition = compileCondition(raw);
    assertEquals(condition === null ? null : condition(subject), matches);
  });
}

Deno.test("a condition nested without end is unsupported", () => {
  let raw: unknown = ALWAYS;
  for (let depth = 0; depth < 10_000; depth++) raw = { op: "not", inner: raw };
  assertEquals(compileCondition(raw), null);
});

Deno.test("conditions on events do not hold for a trace alone, and the other way round", () => {
  const nothing: Subject = { event: null, trace: null };
  assertEquals(compileCondition(eq("event.release", "shop@2.0"))!(nothing), false);
  assertEquals(compileCondition(eq("trace.release", "app@1.2"))!(nothing), false);
});
