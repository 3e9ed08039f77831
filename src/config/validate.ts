/** From what a schema says about a tree to problems that name place, key, rule, value and nearest name. */
import type { z } from "zod";
import { nearestName } from "../core/nearest.ts";
import type { ConfigDocument } from "./config_document.ts";
import type { Origin, Problem } from "./config_error.ts";
import { type ConfigKey, keysOf, namesIn } from "./config_field.ts";
import { SECRET_NAMES, showValue } from "./redact.ts";
import { valueAt } from "./tree.ts";

/** What a tree is checked with. */
export interface Validation<T> {
  readonly schema: z.ZodType<T>;
  /** Put before every key in messages, e.g. `credentials.`. */
  readonly prefix: string;
  /** Where the value at a path comes from; `key` asks for the name's place instead of the value's. */
  readonly originOf: (path: readonly PropertyKey[], at: "key" | "value") => Origin;
}

/** The typed value of a tree, or what is wrong with it. */
export function validate<T>(
  tree: unknown,
  { schema, prefix, originOf }: Validation<T>,
): { readonly value: T } | { readonly problems: readonly Problem[] } {
  const result = schema.safeParse(tree);
  if (result.success) return { value: result.data };
  const keys = keysOf(schema);
  const problems = result.error.issues.flatMap((issue): Problem[] => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((name) =>
        unknownKey(name, issue.path, namesIn(schema, issue.path), keys, prefix, originOf)
      );
    }
    const key = issue.path.join(".");
    const received = valueAt(tree, issue.path);
    const secret = keys.some((known) => known.key === key && known.secret) ||
      SECRET_NAMES.has(String(issue.path.at(-1)));
    const choices = issue.code === "custom"
      ? issue.params?.choices as readonly string[] | undefined
      : undefined;
    const nearest = choices && typeof received === "string" ? nearestName(received, choices) : undefined;
    return [{
      origin: originOf(issue.path, "value"),
      key: key === "" ? null : prefix + key,
      rule: issue.code === "custom" || IN_WORDS.test(issue.message)
        ? issue.message
        : "must be a mapping of keys",
      ...received !== undefined && { received: showValue(received, secret) },
      ...nearest !== undefined && { nearest },
    }];
  });
  return { problems };
}

/** Rules that a schema words itself. */
const IN_WORDS = /^must /;

/** Problems that a schema of one's own found in a document, each at its place. */
export function documentProblems(error: z.ZodError, document: ConfigDocument): Problem[] {
  return error.issues.map((issue) => {
    const received = valueAt(document.value, issue.path);
    return {
      origin: { kind: "file", place: document.locate(issue.path) },
      key: issue.path.length === 0 ? null : issue.path.join("."),
      rule: issue.message,
      ...received !== undefined && { received: showValue(received) },
    };
  });
}

function unknownKey(
  name: string,
  path: readonly PropertyKey[],
  siblings: readonly string[],
  keys: readonly ConfigKey[],
  prefix: string,
  originOf: Validation<unknown>["originOf"],
): Problem {
  const dotted = [...path, name].join(".");
  const sibling = nearestName(name, siblings);
  // A key that is spelt right but stands in the wrong section.
  const elsewhere = keys.find((key) => key.path.at(-1) === name && key.effect !== "none")?.key;
  const nearest = sibling === undefined ? elsewhere : [...path, sibling].join(".");
  return {
    origin: originOf([...path, name], "key"),
    key: prefix + dotted,
    rule: "unknown key",
    ...nearest !== undefined && { nearest },
  };
}
