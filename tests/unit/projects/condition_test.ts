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
    extra: { deep: { list: 3, flag: true }, v6: "2001:db8::7", count: 7, none: [] },
    dist: "",
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
  ["eq missing is null", eq("event.logger", null), true],
  ["eq null is null", eq("event.user.email", null), true],
  ["eq present is not null", eq("event.release", null), false],
  ["eq unknown name is missing", eq("span.op", null), true],
  ["eq missing is not text", eq("event.logger", "1"), false],
  [
    "eq id in upper case and with dashes",
    eq("trace.replay_id", "67E55044-10B1-426F-9247-BB680E5FE0C8"),
    true,
  ],
  ["eq id in array", eq("trace.replay_id", ["x", "67e5504410b1426f9247bb680e5fe0c8"]), true],
  ["eq address in another spelling", eq("event.extra.v6", "2001:DB8:0:0::7"), true],
  ["eq another address", eq("event.extra.v6", "2001:db8::8"), false],
  ["eq number with text", eq("event.extra.count", "7"), false],
  ["eq numbers in array", eq("event.extra.count", [7]), false],
  ["eq text with flag", eq("event.release", true), false],
  ["eq flag with text", eq("event.extra.deep.flag", "true"), false],
  ["eq a list is not text", eq("event.tags", "color"), false],
  ["eq empty array", eq("event.release", []), false],
  ["eq without value is null", { op: "eq", name: "event.logger" }, true],
  ["eq ignoreCase off", eq("event.environment", "production", { ignoreCase: false }), false],
  ["eq empty user.segment is missing", eq("trace.user.segment", null), true],
  ["gt", { op: "gt", name: "event.duration", value: 1499 }, true],
  ["gt equal", { op: "gt", name: "event.duration", value: 1500 }, false],
  ["gte equal", { op: "gte", name: "event.duration", value: 1500 }, true],
  ["lt", { op: "lt", name: "event.measurements.lcp", value: 13 }, true],
  ["lt with .value", { op: "lt", name: "event.measurements.lcp.value", value: 12.5 }, false],
  ["lte", { op: "lte", name: "event.measurements.lcp", value: 12.5 }, true],
  ["gt less", { op: "gt", name: "event.duration", value: 1501 }, false],
  ["gte less", { op: "gte", name: "event.duration", value: 1501 }, false],
  ["gte more", { op: "gte", name: "event.duration", value: -1 }, true],
  ["lt equal", { op: "lt", name: "event.extra.count", value: 7 }, false],
  ["lt more", { op: "lt", name: "event.extra.count", value: 6.9 }, false],
  ["lte more", { op: "lte", name: "event.extra.count", value: 6 }, false],
  ["lte beyond 32 bits", { op: "lte", name: "event.extra.count", value: 2 ** 40 }, true],
  ["gte text equal", { op: "gte", name: "event.release", value: "shop@2.0" }, true],
  ["lte text equal", { op: "lte", name: "event.release", value: "shop@2.0" }, true],
  ["lt text", { op: "lt", name: "event.release", value: "shop@2.1" }, true],
  ["gte missing", { op: "gte", name: "event.measurements.fid", value: 0 }, false],
  ["lte missing", { op: "lte", name: "event.measurements.fid", value: 9 }, false],
  ["gte text with number", { op: "gte", name: "event.release", value: 0 }, false],
  ["gt with a flag is unsupported", { op: "gt", name: "event.duration", value: true }, null],
  ["gt text", { op: "gt", name: "event.release", value: "shop@1.9" }, true],
  ["gt missing", { op: "gt", name: "event.measurements.fid", value: 0 }, false],
  ["lt missing", { op: "lt", name: "event.measurements.fid", value: 9 }, false],
  ["gt number with text", { op: "gt", name: "event.duration", value: "1" }, false],
  ["glob", { op: "glob", name: "event.transaction", value: ["/x*", "/CAR?"] }, true],
  ["glob without match", { op: "glob", name: "event.transaction", value: ["/x*"] }, false],
  ["glob missing", { op: "glob", name: "event.logger", value: ["*"] }, false],
  ["glob of empty text", { op: "glob", name: "event.dist", value: ["*"] }, true],
  ["glob of a number", { op: "glob", name: "event.extra.count", value: ["*"] }, false],
  ["glob with no pattern", { op: "glob", name: "event.transaction", value: [] }, false],
  ["glob is the whole text", { op: "glob", name: "event.transaction", value: ["car"] }, false],
  ["glob with an alternative", { op: "glob", name: "event.transaction", value: ["/{cart,checkout}"] }, true],
  ["cidr", { op: "cidr", name: "event.user.ip_address", value: ["10.0.0.0/8", "nonsense"] }, true],
  ["cidr other", { op: "cidr", name: "event.user.ip_address", value: ["11.0.0.0/8"] }, false],
  ["cidr IPv6", { op: "cidr", name: "event.extra.v6", value: ["2001:db8::/32"] }, true],
  ["cidr of the other family", { op: "cidr", name: "event.extra.v6", value: ["0.0.0.0/0"] }, false],
  ["cidr missing", { op: "cidr", name: "event.logger", value: ["0.0.0.0/0"] }, false],
  ["cidr address alone", { op: "cidr", name: "event.user.ip_address", value: ["10.1.2.3"] }, true],
  ["cidr no address", { op: "cidr", name: "event.release", value: ["0.0.0.0/0"] }, false],
  ["and empty", ALWAYS, true],
  ["or empty", NEVER, false],
  ["and", { op: "and", inner: [ALWAYS, eq("event.platform", "other")] }, true],
  ["and one false", { op: "and", inner: [ALWAYS, NEVER] }, false],
  ["and both false", { op: "and", inner: [NEVER, NEVER] }, false],
  ["or", { op: "or", inner: [NEVER, ALWAYS] }, true],
  ["or none", { op: "or", inner: [NEVER, NEVER] }, false],
  ["not", { op: "not", inner: NEVER }, true],
  ["not true", { op: "not", inner: ALWAYS }, false],
  ["not of what is missing", { op: "not", inner: eq("event.logger", "x") }, true],
  ["and that is no list", { op: "and", inner: ALWAYS }, null],
  ["and with one unsupported", { op: "and", inner: [NEVER, { op: "else" }] }, null],
  ["or with one unsupported", { op: "or", inner: [ALWAYS, { op: "else" }] }, null],
  ["any", { op: "any", name: "event.exceptions", inner: eq("ty", "Error") }, true],
  ["any by the other path", { op: "any", name: "event.exception.values", inner: eq("value", "boom") }, true],
  ["any none", { op: "any", name: "event.exceptions", inner: eq("ty", "KeyError") }, false],
  [
    "all",
    { op: "all", name: "event.exceptions", inner: { op: "glob", name: "ty", value: ["*Error"] } },
    true,
  ],
  ["all but one", { op: "all", name: "event.exceptions", inner: eq("ty", "Error") }, false],
  ["any of an empty list", { op: "any", name: "event.extra.none", inner: ALWAYS }, false],
  ["all of an empty list", { op: "all", name: "event.extra.none", inner: NEVER }, true],
  ["any of what is no list", { op: "any", name: "event.release", inner: ALWAYS }, false],
  ["any with both", {
    op: "any",
    name: "event.exceptions",
    inner: { op: "and", inner: [eq("ty", "TypeError"), eq("value", "x")] },
  }, true],
  ["any with each elsewhere", {
    op: "any",
    name: "event.exceptions",
    inner: { op: "and", inner: [eq("ty", "TypeError"), eq("value", "boom")] },
  }, false],
  ["any with one unsupported", { op: "any", name: "event.exceptions", inner: { op: "else" } }, null],
  ["any missing", { op: "any", name: "event.breadcrumbs", inner: ALWAYS }, false],
  ["all missing", { op: "all", name: "event.breadcrumbs", inner: ALWAYS }, false],
  ["else", { op: "else" }, null],
  ["no operator", { name: "event.release", value: "x" }, null],
  ["no name", { op: "eq", value: "x" }, null],
  ["unknown operator", { op: "regex", name: "event.release", value: ".*" }, null],
  ["unknown operator within", { op: "not", inner: { op: "or", inner: [{ op: "regex" }] } }, null],
  ["malformed", { op: "glob", name: "event.release", value: [1] }, null],
  ["no object", "eq", null],
  ["trace.release", eq("trace.release", "app@1.2"), true],
  ["trace.environment", eq("trace.environment", "prod"), true],
  ["trace.transaction", eq("trace.transaction", "/root"), true],
  ["trace.user.id", eq("trace.user.id", "42"), true],
  ["trace.replay_id", eq("trace.replay_id", null), false],
  ["trace.trace_id is no field", eq("trace.trace_id", null), true],
  ["event.environment", eq("event.environment", "Production"), true],
  ["event.transaction", eq("event.transaction", "/cart"), true],
  ["event.dist", eq("event.dist", ""), true],
  ["event.platform is other by default", eq("event.platform", "other"), true],
  ["event.user.id", eq("event.user.id", "u1"), true],
  ["event.tags, no such tag", eq("event.tags.shape", null), true],
  ["event.request.headers, none", eq("event.request.headers.host", null), true],
  ["event.extra", eq("event.extra.v6", "2001:db8::7"), true],
  ["event.contexts, no such context", eq("event.contexts.os.name", null), true],
  ["event.logentry.message", eq("event.logentry.message", "hello %s"), true],
  ["span.* of an event", eq("span.op", null), true],
  ["log.* of an event", eq("log.body", null), true],
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

/** Events of other shapes: what SDKs send differently. */
const SHAPES: readonly (readonly [what: string, event: object, condition: object, matches: boolean])[] = [
  ["tags as a map", { tags: { color: "red" } }, eq("event.tags.color", "red"), true],
  ["a tag with dots", { tags: [["a.b", "c"]] }, eq("event.tags.a.b", "c"), true],
  ["headers as a map", { request: { headers: { HOST: "x" } } }, eq("event.request.headers.host", "x"), true],
  ["message as text", { message: "m" }, eq("event.logentry.formatted", "m"), true],
  [
    "old name of the message",
    { "sentry.interfaces.Message": { message: "m" } },
    eq(
      "event.logentry.message",
      "m",
    ),
    true,
  ],
  ["exceptions as a list", { exception: [{ type: "E" }] }, {
    op: "any",
    name: "event.exceptions",
    inner: eq("ty", "E"),
  }, true],
  ["an exception alone", { exception: { type: "E" } }, {
    op: "all",
    name: "event.exceptions",
    inner: eq("ty", "E"),
  }, true],
  ["the platform it states", { platform: "go" }, eq("event.platform", "go"), true],
  ["an error has no duration", { timestamp: 2 }, { op: "gte", name: "event.duration", value: 0 }, false],
  ["a span backwards has no duration", { start_timestamp: 3, timestamp: 2 }, {
    op: "gte",
    name: "event.duration",
    value: -9999,
  }, false],
  [
    "transaction.source",
    { transaction_info: { source: "url" } },
    eq("event.transaction.source", "url"),
    true,
  ],
];

for (const [what, event, raw, matches] of SHAPES) {
  Deno.test(`condition on an event with ${what}`, () => {
    const subject = { event: event as Record<string, unknown>, trace: null };
    assertEquals(compileCondition(raw)!(subject), matches);
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
