/** The node's identity: `credentials.json`, environment and flags (control reference, section 2). */
import { readDocument } from "./config_document.ts";
import type { Origin, Problem } from "./config_error.ts";
import type { ConfigSources } from "./config_sources.ts";
import type { Setting } from "./environment.ts";
import { type Credentials, credentialsSchema } from "./schema/credentials.ts";
import { isTree, type Tree } from "./tree.ts";
import { validate } from "./validate.ts";

const PREFIX = "credentials.";
const PARTS = ["id", "public_key", "secret_key"] as const;

/**
 * The credentials, null when there are none at all. Any part may be replaced from outside the file; without a file it
 * takes all three.
 *
 * @throws {ConfigError} the file cannot be parsed
 */
export function loadCredentials(
  dir: string,
  settings: readonly Setting[],
  sources: ConfigSources,
): { readonly value: Credentials | null; readonly problems: readonly Problem[] } {
  const file = `${dir}/credentials.json`;
  const document = readDocument(file, sources);
  const given = settings.filter(({ key }) => key.startsWith(PREFIX));
  if (document === null && given.length === 0) return { value: null, problems: [] };

  const tree: Tree = document && isTree(document.value) ? { ...document.value } : {};
  const origins = new Map<string, Origin>();
  for (const { key, value, origin } of given) {
    tree[key.slice(PREFIX.length)] = value;
    origins.set(key.slice(PREFIX.length), origin);
  }
  const missing = PARTS.filter((part) => tree[part] === undefined);
  if (missing.length > 0) {
    const origin: Origin = document ? { kind: "file", place: document.locate([]) } : given.at(-1)!.origin;
    const rule = `incomplete: ${missing.join(" and ")} missing`;
    return { value: null, problems: [{ origin, key: "credentials", rule }] };
  }
  const result = validate(tree, {
    schema: credentialsSchema,
    prefix: PREFIX,
    originOf: (path, at): Origin =>
      origins.get(String(path[0])) ??
        (document ? { kind: "file", place: document.locate(path, at) } : { kind: "default" }),
  });
  return "value" in result
    ? { value: result.value, problems: [] }
    : { value: null, problems: result.problems };
}
