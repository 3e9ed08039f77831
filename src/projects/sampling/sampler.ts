/**
 * Dynamic sampling: whether a transaction is kept, decided alike wherever the same trace is seen.
 *
 * Rules are tried in order: factors multiply, the first minimum sets a floor, the first sample rate ends it; without
 * one everything is kept. Transaction rules and project rules are those of the envelope's own project, trace rules
 * those of the project the trace began in. Errors are never sampled. Source: control reference, section 8.
 */
import { compileCondition, type Condition } from "../condition.ts";
import type { Subject } from "../condition_field.ts";
import { randomOf } from "./pcg32.ts";
import type { SamplingConfig, SamplingRule } from "./sampling_config.ts";

type RuleType = "trace" | "transaction" | "project";

/** What is to be decided on. */
export interface SamplingSubject extends Subject {
  /** 32 hex digits, the seed of transaction rules; `null` when the event has none. */
  readonly eventId: string | null;
}

/** A decision; a match says which rules made it. */
export type SamplingDecision =
  | { readonly kind: "no_match" }
  | { readonly kind: "keep" | "drop"; readonly rate: number; readonly ruleIds: readonly number[] };

const NO_MATCH: SamplingDecision = { kind: "no_match" };

interface CompiledRule {
  readonly rule: SamplingRule;
  readonly condition: Condition<Subject>;
}

/** Rules of one project, compiled. */
export class Sampler {
  readonly #rules: readonly CompiledRule[];
  /** Whether a rule reads the event, beside its id. */
  readonly needsEvent: boolean;

  constructor({ rules }: SamplingConfig) {
    this.#rules = rules.flatMap((rule) => {
      const condition = compileCondition(rule.condition);
      return condition ? [{ rule, condition }] : [];
    });
    this.needsEvent = rules.some(({ type, condition }) =>
      type === "transaction" && JSON.stringify(condition).includes('"event.')
    );
  }

  /** Rules of a type, in order. */
  of(type: RuleType): readonly CompiledRule[] {
    return this.#rules.filter(({ rule }) => rule.type === type);
  }
}

/**
 * Decides on a transaction.
 *
 * @param own rules of the envelope's project
 * @param root rules of the project the trace began in
 */
export function sample(
  subject: SamplingSubject,
  { own, root }: { readonly own: Sampler | null; readonly root: Sampler | null },
  nowMs: number,
): SamplingDecision {
  const walk = new RuleWalk(subject, nowMs);
  const traceId = subject.trace?.traceId ?? null;
  return walk.through(own?.of("transaction"), subject.eventId) ??
    walk.through(own?.of("project"), traceId) ??
    walk.through(root?.of("trace"), traceId) ?? NO_MATCH;
}

/** What the rules so far add up to. */
class RuleWalk {
  #factor = 1;
  #minimum: number | null = null;
  readonly #ruleIds: number[] = [];

  constructor(readonly subject: Subject, readonly nowMs: number) {}

  through(rules: readonly CompiledRule[] | undefined, seed: string | null): SamplingDecision | null {
    if (!rules || seed === null) return null;
    for (const { rule, condition } of rules) {
      if (!isInTime(rule, this.nowMs)) continue;
      const value = valueAt(rule, this.nowMs);
      if (value === null || !condition(this.subject)) continue;
      this.#ruleIds.push(rule.id);
      if (rule.samplingValue.type === "factor") this.#factor *= value;
      else if (rule.samplingValue.type === "minimumSampleRate") this.#minimum ??= value;
      else return this.#decide(value, seed);
    }
    return null;
  }

  #decide(sampleRate: number, seed: string): SamplingDecision {
    const rate = Math.min(1, Math.max(0, Math.max(sampleRate, this.#minimum ?? 0) * this.#factor));
    const isDropped = rate <= 0 || rate < 1 && randomOf(seed) >= rate;
    return { kind: isDropped ? "drop" : "keep", rate, ruleIds: this.#ruleIds };
  }
}

function isInTime({ timeRange }: SamplingRule, nowMs: number): boolean {
  const { start, end } = timeRange ?? {};
  return (start ?? -Infinity) <= nowMs && nowMs < (end ?? Infinity);
}

/** The value now; `null` when a decay is not properly described. */
function valueAt({ samplingValue: { value }, decayingFn, timeRange }: SamplingRule, nowMs: number) {
  if (decayingFn?.type !== "linear") return value;
  const { start, end } = timeRange ?? {};
  const decayed = decayingFn.decayedValue ?? 0;
  if (typeof start !== "number" || typeof end !== "number" || value < decayed) return null;
  const share = (nowMs - start) / (end - start);
  return value + (decayed - value) * share;
}

/** Rules that are reported under their own id. */
const NAMED: ReadonlySet<number> = new Set([1000, 1001, 1002, 1003, 1004, 1005]);

/** Ranges that are reported under their first id. */
const RANGES: readonly (readonly [from: number, to: number, as: number])[] = [
  [1400, 1499, 1400],
  [1500, 1599, 1500],
  [3000, 4999, 3000],
];

/** Reason code of what was sampled out. */
export function sampledReason(ruleIds: readonly number[]): string {
  const codes = ruleIds.map((id) =>
    NAMED.has(id) ? id : RANGES.find(([from, to]) => from <= id && id <= to)?.[2] ?? 0
  );
  const order = (code: number): number => code === 0 ? Infinity : code;
  return `Sampled:${[...new Set(codes)].sort((a, b) => order(a) - order(b)).join(",")}`;
}
