/** The node's identity: `credentials.json`, environment and flags (control reference, section 2). */
import { KeyError, PublicKey, SecretKey } from "../protocol/signature.ts";
import { type ConfigDocument, readDocument } from "./config_document.ts";
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
  const originOf = originFinder(document, origins);
  const result = validate(tree, { schema: credentialsSchema, prefix: PREFIX, originOf });
  if (!("value" in result)) return { value: null, problems: result.problems };
  const problem = keyProblem(result.value);
  if (problem === null) return { value: result.value, problems: [] };
  const [part, rule] = problem;
  const origin = originOf([part], "value");
  return { value: null, problems: [{ origin, key: PREFIX + part, rule }] };
}

function originFinder(document: ConfigDocument | null, origins: ReadonlyMap<string, Origin>) {
  return (path: readonly PropertyKey[], at: "key" | "value"): Origin =>
    origins.get(String(path[0])) ??
      (document ? { kind: "file", place: document.locate(path, at) } : { kind: "default" });
}

/** An upstream would only say that signatures are wrong, so keys that do not fit are told here. */
function keyProblem({ publicKey, secretKey }: Credentials): [part: string, rule: string] | null {
  try {
    const { text } = SecretKey.parse(secretKey).publicKey;
    if (text === PublicKey.parse(publicKey).text) return null;
    return ["public_key", "does not belong to the secret key"];
  } catch (error) {
    if (error instanceof KeyError) return ["secret_key", error.message];
    throw error;
  }
}
