/**
 * Building blocks of the configuration's schema.
 *
 * A key is declared once, with its kind, default and meaning; validation, defaults, the README's table, the commented
 * file of `config init`, `config schema` and `config show` all come from that declaration. Sections are strict: a key nobody declared is
 * an error, because a misspelt key that is ignored is a setting that silently does not apply.
 */
import { z } from "zod";
import type { JsonSchema } from "./json_schema.ts";
import { jsonOf, type ValueKind } from "./value_kind.ts";

/**
 * When a changed key counts: `reload` = as soon as the configuration is loaded again, `restart` = when the node is
 * started again, `none` = never: accepted for a Relay's configuration (a node that finds one warns).
 */
export type Effect = "reload" | "restart" | "none";

/** Declaration of a key. */
export type FieldOptions = FieldDeclaration & When;

/** `reload` only where whoever uses the value reads it at use, or is told of a new one. */
type When =
  | { readonly effect: "reload" | "none" }
  /** `because` says what takes the value into use once, in a few words for the table. */
  | { readonly effect: "restart"; readonly because: string };

interface FieldDeclaration {
  /** As it would be written in the file. */
  readonly default: unknown;
  /** Set when the default depends on the machine or on other keys (`derived_defaults.ts`); `default` then says how. */
  readonly derived?: true;
  readonly about: string;
  readonly secret?: true;
}

/** Documentation of a key. */
export interface ConfigKey {
  /** Dotted, e.g. `spool.envelopes.path`. */
  readonly key: string;
  readonly path: readonly string[];
  readonly form: string;
  readonly default: unknown;
  readonly derived: boolean;
  readonly about: string;
  readonly effect: Effect;
  /** Why a change needs a restart; empty when it does not. */
  readonly because: string;
  readonly secret: boolean;
}

type Shape = Readonly<Record<string, z.ZodType>>;
type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;
/** Keys of a section as code names them: `max_event_size` is `maxEventSize`. */
export type CamelKeys<T> = { readonly [K in keyof T as K extends string ? CamelCase<K> : K]: T[K] };

type Declaration = FieldOptions & { readonly form: string; readonly json: JsonSchema };

const declarations = new WeakMap<z.ZodType, Declaration>();
const shapes = new WeakMap<z.ZodType, Shape>();
/** What stands under every name of a mapping, or in every place of a list. */
const elements = new WeakMap<z.ZodType, z.ZodType>();

/** For keys whose value is taken into use once, when the node starts; `because` says why. */
export function restart(because: string): { readonly effect: "restart"; readonly because: string } {
  return { effect: "restart", because };
}

/** A key. */
export function field<T>(kind: ValueKind<T>, options: FieldOptions): z.ZodType<T> {
  const read = z.unknown().transform((raw, context): T => {
    const value = kind.read(raw);
    if (value !== undefined) return value;
    context.issues.push({
      code: "custom",
      message: kind.rule,
      input: raw,
      params: { choices: kind.choices },
    });
    return z.NEVER;
  });
  const schema = options.derived ? read : read.prefault(options.default);
  declarations.set(schema, { ...options, form: kind.form, json: jsonOf(kind) });
  return schema;
}

/** A mapping of keys and sections. */
export function section<S extends Shape>(shape: S): z.ZodType<CamelKeys<{ [K in keyof S]: z.output<S[K]> }>> {
  const schema = z.strictObject(shape).transform(camelKeys).prefault({} as never);
  shapes.set(schema, shape);
  return schema as unknown as z.ZodType<CamelKeys<{ [K in keyof S]: z.output<S[K]> }>>;
}

/** A key that holds a list of mappings, each checked like a section; `form` names it in the documentation. */
export function listField<T>(
  item: z.ZodType<T>,
  { form, max, ...options }: FieldOptions & { readonly form: string; readonly max: number },
): z.ZodType<readonly T[]> {
  const schema = z.array(item, { error: "must be a list" }).max(max, {
    error: `must have at most ${max} entries`,
  }).prefault(options.default as never);
  declarations.set(schema, {
    ...options,
    form,
    json: { type: "array", items: jsonSchemaOf(item), maxItems: max },
  });
  elements.set(schema, item);
  return schema;
}

/** A key that is a mapping from names of the operator's to sections of one form; `null` is a section without keys. */
export function mapField<T>(
  inner: z.ZodType<T>,
  options: FieldOptions & { readonly form: string },
): z.ZodType<Readonly<Record<string, T>>> {
  const schema = z.record(z.string(), z.preprocess((raw) => raw ?? {}, inner)).prefault({});
  const json = { type: "object", additionalProperties: { anyOf: [jsonSchemaOf(inner), { type: "null" }] } };
  declarations.set(schema, { ...options, json });
  elements.set(schema, inner);
  return schema as unknown as z.ZodType<Readonly<Record<string, T>>>;
}

/** All keys below a section, in the order of their declaration. */
export function keysOf(schema: z.ZodType, path: readonly string[] = []): ConfigKey[] {
  const declaration = declarations.get(schema);
  if (declaration) {
    const { form, about, effect, derived = false, secret = false } = declaration;
    return [{
      key: path.join("."),
      path,
      form,
      default: declaration.default,
      derived,
      about,
      effect,
      because: declaration.effect === "restart" ? declaration.because : "",
      secret,
    }];
  }
  return Object.entries(shapes.get(schema) ?? {}).flatMap(([name, inner]) => keysOf(inner, [...path, name]));
}

/** Names that are valid directly below a section. */
export function namesIn(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let current: z.ZodType | undefined = schema;
  for (const segment of path) {
    current = current && (elements.get(current) ?? shapes.get(current)?.[String(segment)]);
  }
  return Object.keys(current && shapes.get(current) || {});
}

/** Dotted names of the sections below a schema, without the schema itself. */
export function sectionsIn(schema: z.ZodType, path: readonly string[] = []): (readonly string[])[] {
  const inner = Object.entries(shapes.get(schema) ?? {}).flatMap(([name, child]) =>
    sectionsIn(child, [...path, name])
  );
  return path.length > 0 && shapes.has(schema) ? [path, ...inner] : inner;
}

/** What may be written where a schema is meant, for editors (draft 2020-12). */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const declaration = declarations.get(schema);
  if (declaration) return keySchema(declaration);
  const inner = Object.entries(shapes.get(schema) ?? {});
  const required = inner.filter(([, child]) => isRequired(child)).map(([name]) => name);
  return {
    type: ["object", "null"],
    properties: Object.fromEntries(inner.map(([name, child]) => [name, jsonSchemaOf(child)])),
    additionalProperties: false,
    ...required.length > 0 && { required },
  };
}

function keySchema({ about, effect, derived, json, form, ...declaration }: Declaration): JsonSchema {
  const isUnused = effect === "none";
  const meaning = isUnused ? "Accepted for a Relay's configuration, without effect" : about;
  const notes = [meaning, `Value: ${form}`, ...isUnused ? [] : [`A change counts at a ${effect}`]];
  const shown = derived ? [...notes, `Default: ${declaration.default}`] : notes;
  return {
    // A key that is left open may be written as null.
    ...derived ? { anyOf: [json, { type: "null" }] } : json,
    description: shown.filter((note) => note !== "").join(". "),
    ...!derived && declaration.default !== undefined && { default: declaration.default },
    ...isUnused && { deprecated: true },
  };
}

function isRequired(schema: z.ZodType): boolean {
  const declaration = declarations.get(schema);
  return declaration !== undefined && !declaration.derived && declaration.default === undefined;
}

function camelKeys(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [camelName(name), value]),
  );
}

/** Name of a key as code has it: `max_event_size` is `maxEventSize`. */
export function camelName(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}
