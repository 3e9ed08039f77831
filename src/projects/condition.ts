/**
 * Conditions of sampling rules and generic filters, compiled into functions.
 *
 * A condition that holds an operator or a form this version does not know is unsupported as a whole: it must never
 * match by accident, least of all under a `not`. Source: control reference, section 8 ("Condition DSL").
 */
import { CidrSet, parseIp } from "../core/cidr.ts";
import { compileGlobs } from "../core/glob.ts";
import { elementField, type Field, subjectField } from "./condition_field.ts";

/** Says whether a condition holds for what it is about. */
export type Condition<T> = (subject: T) => boolean;

/** Finds the field that a name stands for. */
type FieldOf<T> = (name: string) => Field<T>;

/** Deepest nesting of a condition. */
const DEPTH_MAX = 32;

/** Compiles a condition on events and traces; `null` when it is unsupported. */
export function compileCondition(raw: unknown): Condition<Parameters<Field>[0]> | null {
  return compile(raw, subjectField, 0);
}

function compile<T>(raw: unknown, fieldOf: FieldOf<T>, depth: number): Condition<T> | null {
  if (typeof raw !== "object" || raw === null || depth > DEPTH_MAX) return null;
  const { op, name, value, inner, options } = raw as Readonly<Record<string, unknown>>;
  const field = typeof name === "string" ? fieldOf(name) : null;
  switch (op) {
    case "eq":
      return field && equals(field, value, isIgnoringCase(options));
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      return field && compares(field, op, value);
    case "glob":
      return field && globs(field, value);
    case "cidr":
      return field && networks(field, value);
    case "and":
    case "or":
      return combination(op, inner, fieldOf, depth);
    case "not": {
      const condition = compile(inner, fieldOf, depth + 1);
      return condition && ((subject) => !condition(subject));
    }
    case "any":
    case "all":
      return field && elements(field, op, compile(inner, elementField, depth + 1));
    default:
      return null;
  }
}

function isIgnoringCase(options: unknown): boolean {
  return (options as { readonly ignoreCase?: unknown } | null | undefined)?.ignoreCase === true;
}

/** Text, flags and what is missing; numbers are never equal to anything. */
function equals<T>(field: Field<T>, value: unknown, ignoreCase: boolean): Condition<T> {
  if (value === null || value === undefined) return (subject) => (field(subject) ?? null) === null;
  if (typeof value === "boolean") return (subject) => field(subject) === value;
  const wanted = (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string");
  const tests = wanted.map((one) => sameText(one, ignoreCase));
  return (subject) => {
    const text = field(subject);
    return typeof text === "string" && tests.some((test) => test(text));
  };
}

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** Ids are equal with and without dashes, addresses however they are written. */
function sameText(wanted: string, ignoreCase: boolean): (text: string) => boolean {
  if (UUID.test(wanted)) {
    const id = bareId(wanted);
    return (text) => text.length >= 32 && UUID.test(text) && bareId(text) === id;
  }
  const ip = parseIp(wanted);
  if (ip) return (text) => text === wanted || parseIp(text)?.toString() === ip.toString();
  if (!ignoreCase) return (text) => text === wanted;
  const folded = wanted.toLowerCase();
  return (text) => text.toLowerCase() === folded;
}

const bareId = (text: string): string => text.replaceAll("-", "").toLowerCase();

const COMPARISONS = {
  gt: (order: number) => order > 0,
  gte: (order: number) => order >= 0,
  lt: (order: number) => order < 0,
  lte: (order: number) => order <= 0,
};

/** Numbers with numbers, text with text. */
function compares<T>(field: Field<T>, op: keyof typeof COMPARISONS, value: unknown): Condition<T> | null {
  if (typeof value !== "number" && typeof value !== "string") return null;
  const test = COMPARISONS[op];
  return (subject) => {
    const found = field(subject);
    if (typeof found !== typeof value) return false;
    return test(found === value ? 0 : (found as typeof value) > value ? 1 : -1);
  };
}

function globs<T>(field: Field<T>, value: unknown): Condition<T> | null {
  const patterns = textList(value);
  if (!patterns) return null;
  const glob = compileGlobs(patterns);
  return (subject) => {
    const text = field(subject);
    return typeof text === "string" && glob(text);
  };
}

function networks<T>(field: Field<T>, value: unknown): Condition<T> | null {
  const list = textList(value);
  if (!list) return null;
  const set = networkSet(list);
  return (subject) => {
    const text = field(subject);
    return typeof text === "string" && set.has(text);
  };
}

/** The networks of a list; entries that are none are left out. */
export function networkSet(list: readonly string[]): CidrSet {
  return CidrSet.parse(list.filter((entry) => {
    try {
      CidrSet.parse([entry]);
      return true;
    } catch {
      return false;
    }
  }));
}

/** One pattern may stand without its list. */
function textList(value: unknown): readonly string[] | null {
  if (typeof value === "string") return [value];
  return Array.isArray(value) && value.every((entry) => typeof entry === "string") ? value : null;
}

function combination<T>(
  op: "and" | "or",
  inner: unknown,
  fieldOf: FieldOf<T>,
  depth: number,
): Condition<T> | null {
  if (!Array.isArray(inner)) return null;
  const conditions: Condition<T>[] = [];
  for (const raw of inner) {
    const condition = compile(raw, fieldOf, depth + 1);
    if (!condition) return null;
    conditions.push(condition);
  }
  return op === "and"
    ? (subject) => conditions.every((condition) => condition(subject))
    : (subject) => conditions.some((condition) => condition(subject));
}

/** Conditions on the elements of a list; without a list neither holds. */
function elements<T>(
  field: Field<T>,
  op: "any" | "all",
  inner: Condition<unknown> | null,
): Condition<T> | null {
  if (!inner) return null;
  return (subject) => {
    const list = field(subject);
    if (!Array.isArray(list)) return false;
    return op === "any" ? list.some((element) => inner(element)) : list.every((element) => inner(element));
  };
}
