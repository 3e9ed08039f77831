/** Dynamic sampling: control reference, section 8. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Pcg32, randomOf } from "../../../src/projects/sampling/pcg32.ts";
import { sample, sampledReason, Sampler } from "../../../src/projects/sampling/sampler.ts";
import { samplingConfig, samplingDocument } from "../../../src/projects/sampling/sampling_config.ts";
import { parseSamplingContext } from "../../../src/protocol/sampling_context.ts";

const TRACE = "0123456789abcdef0123456789abcdef";
const EVENT = "fedcba98765432100123456789abcdef";

Deno.test("Pcg32 gives the numbers that the authors of the algorithm publish for state 42, stream 54", () => {
  const generator = new Pcg32(42n, 54n);
  const expected = [0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293, 0xbfa4784b, 0xcbed606e];
  assertEquals(expected.map(() => generator.next()), expected);
});

/** The same algorithm on four limbs of 16 bits, written from the C source. */
function pcg32Limbs(state: bigint, stream: bigint): () => number {
  const limbs = (value: bigint): number[] =>
    [0, 16, 32, 48].map((at) => Number((value >> BigInt(at)) & 0xffffn));
  const multiplier = limbs(6364136223846793005n);
  const increment = limbs(((stream << 1n) | 1n) & 0xffffffffffffffffn);
  const add = (a: number[], b: number[]): number[] => {
    let carry = 0;
    return a.map((limb, i) => {
      const sum = limb + b[i]! + carry;
      carry = sum >>> 16;
      return sum & 0xffff;
    });
  };
  const multiply = (a: number[], b: number[]): number[] => {
    const result = [0, 0, 0, 0];
    for (let i = 0; i < 4; i++) {
      let carry = 0;
      for (let j = 0; i + j < 4; j++) {
        const sum = result[i + j]! + a[i]! * b[j]! + carry;
        result[i + j] = sum % 65536;
        carry = Math.floor(sum / 65536);
      }
    }
    return result;
  };
  let current = add(add([0, 0, 0, 0], increment), limbs(state));
  current = add(multiply(current, multiplier), increment);
  return () => {
    const [a, b, c, d] = current as [number, number, number, number];
    current = add(multiply(current, multiplier), increment);
    const low = (b << 16 | a) >>> 0;
    const high = (d << 16 | c) >>> 0;
    const xorLow = (low ^ (low >>> 18 | high << 14)) >>> 0;
    const xorHigh = (high ^ (high >>> 18)) >>> 0;
    const shifted = (xorLow >>> 27 | xorHigh << 5) >>> 0;
    const rotation = d >>> 11;
    return (shifted >>> rotation | shifted << (-rotation & 31)) >>> 0;
  };
}

Deno.test("Pcg32 agrees with an implementation on limbs for any seed", () => {
  const seed = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(fc.property(seed, seed, (state, stream) => {
    const generator = new Pcg32(state, stream);
    const reference = pcg32Limbs(state, stream);
    for (let i = 0; i < 4; i++) assertEquals(generator.next(), reference());
    const id = state.toString(16).padStart(16, "0") + stream.toString(16).padStart(16, "0");
    const draw = pcg32Limbs(state, stream);
    const [low, high] = [draw(), draw()];
    assertEquals(randomOf(id), Number((BigInt(high) << 32n | BigInt(low)) >> 11n) * 2 ** -53);
  }));
});

const parse = (raw: unknown) => samplingConfig(samplingDocument.parse(raw));
const rule = (id: number, type: string, value: object, more: object = {}) => ({
  id,
  type,
  samplingValue: value,
  condition: { op: "and", inner: [] },
  ...more,
});
const rate = (value: number) => ({ type: "sampleRate", value });
const factor = (value: number) => ({ type: "factor", value });
const minimum = (value: number) => ({ type: "minimumSampleRate", value });

const trace = parseSamplingContext({ trace_id: TRACE, public_key: "b".repeat(32), environment: "prod" });
const subject = { event: { transaction: "/a" }, trace, eventId: EVENT };
const decide = (rules: object[], options: { root?: object[]; nowMs?: number } = {}) =>
  sample(subject, {
    own: new Sampler(parse({ version: 2, rules })!),
    root: new Sampler(parse({ version: 2, rules: options.root ?? rules })!),
  }, options.nowMs ?? 0);

const at = Date.parse;
const when = (op: string, name: string, value: unknown) => ({ condition: { op, name, value } });
const range = (start: string | null, end: string | null) => ({ timeRange: { start, end } });
const DAY = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"] as const;
const linear = (decayedValue: number) => ({ decayingFn: { type: "linear", decayedValue } });

/** Rules of one project, what becomes of the transaction, the rate and the rules that made it. */
const ROWS: readonly (readonly [string, object[], number, unknown])[] = [
  ["rate 1 keeps", [rule(1, "trace", rate(1))], 0, ["keep", 1, [1]]],
  ["rate 0 drops", [rule(1, "trace", rate(0))], 0, ["drop", 0, [1]]],
  ["first rate ends it", [rule(1, "trace", rate(0)), rule(2, "trace", rate(1))], 0, ["drop", 0, [1]]],
  [
    "factors multiply",
    [rule(1, "trace", factor(2)), rule(2, "trace", factor(3)), rule(3, "trace", rate(0.25))],
    0,
    [
      "keep",
      1,
      [1, 2, 3],
    ],
  ],
  ["factor 0", [rule(1, "trace", factor(0)), rule(2, "trace", rate(1))], 0, ["drop", 0, [1, 2]]],
  ["a minimum is a floor", [rule(1, "trace", minimum(1)), rule(2, "trace", rate(0))], 0, ["keep", 1, [1, 2]]],
  [
    "the first minimum counts",
    [
      rule(1, "trace", minimum(0)),
      rule(2, "trace", minimum(1)),
      rule(3, "trace", rate(0)),
    ],
    0,
    ["drop", 0, [1, 2, 3]],
  ],
  [
    "a minimum below the rate changes nothing",
    [rule(1, "trace", minimum(0.2)), rule(2, "trace", rate(1))],
    0,
    [
      "keep",
      1,
      [1, 2],
    ],
  ],
  [
    "a factor holds for the floor, too",
    [rule(1, "trace", minimum(0.5)), rule(2, "trace", factor(2)), rule(3, "trace", rate(0.1))],
    0,
    ["keep", 1, [1, 2, 3]],
  ],
  ["what follows the rate is not asked", [rule(1, "trace", rate(1)), rule(2, "trace", factor(0))], 0, [
    "keep",
    1,
    [
      1,
    ],
  ]],
  ["beyond 1 is 1", [rule(1, "trace", factor(10)), rule(2, "trace", rate(0.5))], 0, ["keep", 1, [1, 2]]],
  ["the end without a rate keeps", [rule(1, "trace", factor(0))], 0, "no_match"],
  ["condition false", [rule(1, "trace", rate(0), when("eq", "trace.environment", "dev"))], 0, "no_match"],
  ["condition true", [rule(1, "trace", rate(0), when("eq", "trace.environment", "prod"))], 0, ["drop", 0, [
    1,
  ]]],
  [
    "a rule whose condition is false counts for nothing",
    [
      rule(1, "trace", factor(0), when("eq", "trace.environment", "dev")),
      rule(2, "trace", rate(1)),
    ],
    0,
    ["keep", 1, [2]],
  ],
  [
    "a rule out of time counts for nothing",
    [
      rule(1, "trace", factor(0), range(null, "1970-01-01T00:00:00Z")),
      rule(2, "trace", rate(1)),
    ],
    0,
    ["keep", 1, [2]],
  ],
  [
    "factors of transaction rules hold for trace rules",
    [
      rule(1, "transaction", factor(0)),
      rule(2, "trace", rate(1)),
    ],
    0,
    ["drop", 0, [1, 2]],
  ],
  [
    "a minimum of a transaction rule holds for trace rules",
    [
      rule(1, "transaction", minimum(1)),
      rule(2, "trace", rate(0)),
    ],
    0,
    ["keep", 1, [1, 2]],
  ],
  [
    "transaction rule that does not match",
    [rule(1, "transaction", rate(0), when("glob", "event.transaction", ["/b"]))],
    0,
    "no_match",
  ],
  ["transaction rule", [rule(1, "transaction", rate(0), when("glob", "event.transaction", ["/A"]))], 0, [
    "drop",
    0,
    [1],
  ]],
  ["project rule", [rule(1, "project", rate(0))], 0, ["drop", 0, [1]]],
  ["transaction rules come first", [rule(1, "trace", rate(1)), rule(2, "transaction", rate(0))], 0, [
    "drop",
    0,
    [2],
  ]],
  ["start is inclusive", [rule(1, "trace", rate(0), range(...DAY))], at(DAY[0]), ["drop", 0, [1]]],
  ["end is exclusive", [rule(1, "trace", rate(0), range(...DAY))], at(DAY[1]), "no_match"],
  ["after start", [rule(1, "trace", rate(0), range(DAY[0], null))], at(DAY[0]) + 1, ["drop", 0, [1]]],
  ["before end", [rule(1, "trace", rate(0), range(null, DAY[1]))], at(DAY[1]) - 1, ["drop", 0, [1]]],
  ["no range", [rule(1, "trace", rate(0), { timeRange: {} })], 0, ["drop", 0, [1]]],
  [
    "a constant decay",
    [rule(1, "trace", rate(1), { ...range(...DAY), decayingFn: { type: "constant" } })],
    at(
      DAY[1],
    ) - 1,
    ["keep", 1, [1]],
  ],
  ["before start", [rule(1, "trace", rate(0), range(DAY[0], null))], at(DAY[0]) - 1, "no_match"],
  ["linear decay, start", [rule(1, "trace", rate(1), { ...range(...DAY), ...linear(0) })], at(DAY[0]), [
    "keep",
    1,
    [1],
  ]],
  [
    "linear decay upwards is skipped",
    [rule(1, "trace", rate(0.1), { ...range(...DAY), ...linear(0.5) })],
    at(
      DAY[0],
    ),
    "no_match",
  ],
  [
    "linear decay without a start is skipped",
    [rule(1, "trace", rate(0), { ...range(null, DAY[1]), ...linear(0) })],
    at(DAY[0]),
    "no_match",
  ],
  [
    "linear decay to the same value",
    [rule(1, "trace", rate(1), { ...range(...DAY), ...linear(1) })],
    at(DAY[1]) - 1,
    ["keep", 1, [1]],
  ],
  [
    "linear decay to nothing in particular is to 0",
    [rule(1, "trace", rate(0), { ...range(...DAY), decayingFn: { type: "linear" } })],
    at(DAY[0]),
    ["drop", 0, [1]],
  ],
  [
    "linear decay without an end is skipped",
    [rule(1, "trace", rate(0), {
      ...range(DAY[0], null),
      ...linear(0),
    })],
    at(DAY[0]),
    "no_match",
  ],
];

for (const [what, rules, nowMs, expected] of ROWS) {
  Deno.test(`sampling: ${what}`, () => {
    const decision = decide(rules, { nowMs });
    assertEquals(
      decision.kind === "no_match" ? decision.kind : [decision.kind, decision.rate, decision.ruleIds],
      expected,
    );
  });
}

Deno.test("sampling: linear decay is half way in the middle of its time", () => {
  const nowMs = (at(DAY[0]) + at(DAY[1])) / 2;
  const decision = decide([rule(1, "trace", rate(0.8), { ...range(...DAY), ...linear(0.2) })], { nowMs });
  assert(decision.kind !== "no_match");
  assertAlmostEquals(decision.rate, 0.5);
});

Deno.test("sampling: trace rules are the root project's, factors of the own project count for them", () => {
  const root = [rule(7, "trace", rate(0.5))];
  const decision = decide([rule(1, "project", factor(2)), rule(2, "trace", rate(0))], { root });
  assertEquals(decision, { kind: "keep", rate: 1, ruleIds: [1, 7] });
});

Deno.test("sampling: linear decay of a factor", () => {
  const nowMs = at(DAY[0]) + (at(DAY[1]) - at(DAY[0])) / 4;
  const decision = decide([
    rule(1, "trace", factor(2), { ...range(...DAY), ...linear(1) }),
    rule(2, "trace", rate(0.4)),
  ], { nowMs });
  assert(decision.kind !== "no_match");
  assertAlmostEquals(decision.rate, 0.7);
});

/** Without what seeds them, rules of a type decide nothing. */
const SEEDS = [
  ["trace", { ...subject, trace: null }, "no_match"],
  ["trace", { ...subject, eventId: null }, "drop"],
  ["project", { ...subject, trace: null }, "no_match"],
  ["transaction", { ...subject, eventId: null }, "no_match"],
  ["transaction", { ...subject, trace: null }, "drop"],
] as const;

for (const [type, without, kind] of SEEDS) {
  Deno.test(`sampling: a ${type} rule without ${without.trace ? "event id" : "trace"}: ${kind}`, () => {
    const sampler = new Sampler(parse({ version: 2, rules: [rule(1, type, rate(0))] })!);
    assertEquals(sample(without, { own: sampler, root: sampler }, 0).kind, kind);
  });
}

Deno.test("sampling: over many traces a rate keeps its share, and each trace the same way", () => {
  const sampler = new Sampler(parse({ version: 2, rules: [rule(1, "trace", rate(0.3))] })!);
  const kindOf = (n: number): string => {
    const id = `${(n * 2654435761 >>> 0).toString(16).padStart(8, "0")}${n.toString(16).padStart(24, "0")}`;
    const of = { ...subject, trace: { ...subject.trace!, traceId: id } };
    return sample(of, { own: null, root: sampler }, 0).kind;
  };
  const kinds = Array.from({ length: 10_000 }, (_, n) => kindOf(n));
  assertEquals(Array.from({ length: 100 }, (_, n) => kindOf(n)), kinds.slice(0, 100));
  assertAlmostEquals(kinds.filter((kind) => kind === "keep").length / 10_000, 0.3, 0.02);
});

Deno.test("sampling: trace rules are seeded by the trace, transaction rules by the event", () => {
  for (const [type, seed] of [["trace", TRACE], ["transaction", EVENT]] as const) {
    const r = randomOf(seed);
    assertEquals(decide([rule(1, type, rate(r))]).kind, "drop");
    assertEquals(decide([rule(1, type, rate(r + 2 ** -50))]).kind, "keep");
  }
});

/** What a configuration is worth: number of rules, or null when everything is kept. */
const CONFIGS: readonly (readonly [string, unknown, number | null])[] = [
  ["none", undefined, null],
  ["empty", { version: 2, rules: [] }, null],
  ["version 2", { version: 2, rules: [rule(1, "trace", rate(0))] }, 1],
  ["version 1 takes rulesV2", {
    version: 1,
    rules: [{ sampleRate: 1 }],
    rulesV2: [rule(1, "trace", rate(0))],
  }, 1],
  ["no version takes rulesV2", { rulesV2: [rule(1, "trace", rate(0))] }, 1],
  [
    "older name of no version",
    { rules: [rule(1, "trace", rate(0))], rulesV2: [rule(2, "trace", rate(0))] },
    2,
  ],
  ["version 3", { version: 3, rules: "unheard of" }, null],
  ["unknown rule type", { version: 2, rules: [rule(1, "span", rate(0))] }, null],
  ["unknown value type", { version: 2, rules: [rule(1, "trace", { type: "reservoir", limit: 2 })] }, null],
  [
    "unknown decay",
    { version: 2, rules: [rule(1, "trace", rate(0), { decayingFn: { type: "steep" } })] },
    null,
  ],
  ["unsupported condition", {
    version: 2,
    rules: [rule(1, "trace", rate(0), { condition: { op: "regex" } })],
  }, null],
];

for (const [what, raw, rules] of CONFIGS) {
  Deno.test(`sampling configuration: ${what}`, () => assertEquals(parse(raw)?.rules.length ?? null, rules));
}

Deno.test("sampling configuration: a wrong shape is an error", () => {
  for (
    const raw of [7, { version: 2, rules: [{ id: "x" }] }, {
      version: 2,
      rules: [rule(-1, "trace", rate(1))],
    }]
  ) {
    assertEquals(samplingDocument.safeParse(raw).success, false);
  }
});

for (
  const [ids, reason] of [
    [[1000, 1005], "Sampled:1000,1005"],
    [[1499, 1400, 1004], "Sampled:1004,1400"],
    [[1500, 1599, 3000, 4999], "Sampled:1500,3000"],
    [[5000, 999, 1500], "Sampled:1500,0"],
    [[1006], "Sampled:0"],
    [[1001, 1002, 1003], "Sampled:1001,1002,1003"],
    [[1399, 1600, 2999], "Sampled:0"],
    [[1000, 1000, 3001, 4000], "Sampled:1000,3000"],
  ] as const
) {
  Deno.test(`sampling reason of rules ${ids}`, () => assertEquals(sampledReason(ids), reason));
}

const CONTEXT = { trace_id: TRACE, public_key: "b".repeat(32) };
const CONTEXTS: readonly (readonly [string, unknown, Record<string, unknown> | null])[] = [
  ["all of it", {
    ...CONTEXT,
    release: "1",
    environment: "e",
    transaction: "t",
    user_id: "u",
    sample_rate: "0.5",
  }, {
    release: "1",
    environment: "e",
    transaction: "t",
    userId: "u",
  }],
  ["segment_name", { ...CONTEXT, segment_name: "s" }, { transaction: "s" }],
  ["nested user", { ...CONTEXT, user: { id: "i", segment: "s" } }, { userId: "i", userSegment: "s" }],
  ["sampled as text", { ...CONTEXT, sampled: "true" }, { traceId: TRACE }],
  ["a sample rate that is a number", { ...CONTEXT, sample_rate: 0.5 }, null],
  ["sampled as a flag", { ...CONTEXT, sampled: false }, { traceId: TRACE }],
  ["sampled as a number", { ...CONTEXT, sampled: 1 }, null],
  ["a sample rate that is no number", { ...CONTEXT, sample_rate: "half" }, null],
  ["a sample rate below 0", { ...CONTEXT, sample_rate: "-1" }, null],
  ["an empty sample rate", { ...CONTEXT, sample_rate: "" }, null],
  ["transaction before segment_name", { ...CONTEXT, transaction: "t", segment_name: "s" }, {
    transaction: "t",
  }],
  ["user_id before the nested one", { ...CONTEXT, user_id: "u", user: { id: "i" } }, { userId: "u" }],
  ["a nested user that is none", { ...CONTEXT, user: "x" }, { userId: null }],
  ["replay_id", { ...CONTEXT, replay_id: "r" }, { replayId: "r" }],
  ["null for what is not known", { ...CONTEXT, release: null, environment: null }, { release: null }],
  ["others", { ...CONTEXT, org_id: "1", sample_rand: "0.1" }, { traceId: TRACE }],
  ["a key that is no key", { ...CONTEXT, public_key: "b" }, null],
  ["a trace id that is none", { ...CONTEXT, trace_id: "x" }, null],
  ["no key", { trace_id: TRACE }, null],
  ["no trace id", { public_key: "b".repeat(32) }, null],
  ["a release that is no text", { ...CONTEXT, release: 1 }, null],
  ["no object", "x", null],
];

for (const [what, raw, fields] of CONTEXTS) {
  Deno.test(`sampling context: ${what}`, () => {
    const context = parseSamplingContext(raw) as Record<string, unknown> | null;
    assertEquals(context === null, fields === null);
    for (const [name, value] of Object.entries(fields ?? {})) assertEquals(context?.[name], value);
  });
}
