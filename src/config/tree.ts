/** Nested plain objects, addressed by path. */

/** A mapping of a configuration before it is validated. */
export type Tree = Record<string, unknown>;

/** True for plain mappings. */
export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a path through mappings and lists; undefined when there is none. */
export function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  let value = tree;
  for (const segment of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[segment];
  }
  return value;
}

/** Puts a value at a path, making mappings on the way; leaves the tree alone where something else stands in the way. */
export function putAt(tree: Tree, path: readonly string[], value: unknown): void {
  let inner = tree;
  for (const segment of path.slice(0, -1)) {
    inner[segment] ??= {};
    const next = inner[segment];
    if (!isTree(next)) return;
    inner = next;
  }
  inner[path.at(-1)!] = value;
}
