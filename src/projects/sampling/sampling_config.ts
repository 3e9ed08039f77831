/**
 * `config.sampling` of a project: rules that say which traces and transactions are kept.
 *
 * Shapes are checked like the rest of a project document. What is well-formed but unknown (a newer version, another
 * type of rule or value, a condition this version cannot read) makes the whole configuration unsupported, and then
 * everything is kept: half of the rules would drop too much. Source: control reference, section 8.
 */
import { z } from "zod";
import { compileCondition } from "../condition.ts";

const VERSION_MAX = 2;
const TYPES: ReadonlySet<string> = new Set(["trace", "transaction", "project"]);
const VALUES: ReadonlySet<string> = new Set(["sampleRate", "factor", "minimumSampleRate"]);

const moment = z.iso.datetime({ offset: true, local: true }).transform((text) =>
  Date.parse(/(?:z|[+-]\d{2}:?\d{2})$/i.test(text) ? text : `${text}Z`)
);

const rule = z.object({
  id: z.number().int().nonnegative(),
  type: z.string(),
  samplingValue: z.object({ type: z.string(), value: z.number().nonnegative().default(0) }),
  condition: z.record(z.string(), z.unknown()).default({ op: "and", inner: [] }),
  timeRange: z.object({ start: moment.nullish(), end: moment.nullish() }).nullish(),
  decayingFn: z.object({ type: z.string(), decayedValue: z.number().nullish() }).nullish(),
});

const rulesOfVersion1 = z.preprocess(
  (rules) => Array.isArray(rules) ? rules.filter((rule) => rule?.samplingValue !== undefined) : rules,
  z.array(rule).default([]),
);

/** Part of the project document; `rules` of the first version have another form and are left out. */
export const samplingDocument = z.union([
  z.object({ version: z.literal(2), rules: z.array(rule).default([]) }),
  z.object({ version: z.number().int().gt(VERSION_MAX) }).transform(() => null),
  z.object({
    version: z.literal(1).default(1),
    rules: rulesOfVersion1,
    rulesV2: z.array(rule).default([]),
  }).transform(({ rules, rulesV2 }) => ({ version: VERSION_MAX, rules: [...rules, ...rulesV2] })),
]).nullish();

/** A rule as the document has it; times in ms. */
export type SamplingRule = z.output<typeof rule>;

/** Rules in the order they are tried. Plain data. */
export interface SamplingConfig {
  readonly rules: readonly SamplingRule[];
}

/** The configuration a document holds; `null` when there is none, or one that is not supported. */
export function samplingConfig(document: z.output<typeof samplingDocument>): SamplingConfig | null {
  if (!document || document.rules.length === 0) return null;
  return document.rules.every(isSupported) ? { rules: document.rules } : null;
}

function isSupported({ type, samplingValue, decayingFn, condition }: SamplingRule): boolean {
  return TYPES.has(type) && VALUES.has(samplingValue.type) &&
    ["constant", "linear"].includes(decayingFn?.type ?? "constant") &&
    compileCondition(condition) !== null;
}
