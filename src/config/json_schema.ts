/** Pieces of JSON Schema (draft 2020-12) from which kinds of value tell editors what they take. */

/** A schema. */
export type JsonSchema = { readonly [keyword: string]: unknown };

const REFERENCE = "\\$\\{";

/** Any text. */
export const TEXT: JsonSchema = { type: "string" };

/** A list of texts. */
export const TEXTS: JsonSchema = { type: "array", items: TEXT };

/** A number, or text: one with a unit, or a reference. */
export const NUMBER: JsonSchema = { type: ["number", "string"] };

/** `true`, `false`, or a reference to one of them. */
export const BOOLEAN: JsonSchema = {
  anyOf: [{ type: "boolean" }, { type: "string", pattern: `^(true|false)$|${REFERENCE}` }],
};

/** One of these words, also in other spellings, or a reference to one. */
export function oneOf(words: readonly string[]): JsonSchema {
  return { anyOf: [{ enum: words }, { type: "string", pattern: `[A-Z]|${REFERENCE}` }] };
}

/** A mapping with these keys and no others. */
export function mapping(
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[],
): JsonSchema {
  return { type: "object", properties, required, additionalProperties: false };
}
