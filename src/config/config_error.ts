/**
 * What is wrong with a configuration, said so that the operator can go to the place and mend it.
 *
 * A problem names its place (file, line and column, or the environment variable, or the flag), the key, the rule that
 * was broken, the value received (secrets left out) and the nearest valid name. All problems of a load are reported at
 * once, in one {@link ConfigError}.
 */

/** A place in a file; line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Where a value comes from. */
export type Origin =
  | { readonly kind: "default" }
  | { readonly kind: "file"; readonly place: Place }
  | { readonly kind: "env"; readonly name: string }
  | { readonly kind: "flag"; readonly name: string };

/** One thing that is wrong. */
export interface Problem {
  readonly origin: Origin;
  /** Dotted key, e.g. `http.timeout`; null when the problem is not about one key. */
  readonly key: string | null;
  /** The broken rule, e.g. `must be a port from 0 to 65535`. */
  readonly rule: string;
  /** The value as it may be shown. */
  readonly received?: string;
  readonly nearest?: string;
}

/** A configuration that cannot be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const sorted = problems.toSorted(byPlace);
    const count = sorted.length === 1 ? "an error" : `${sorted.length} errors`;
    super(`${count} in the configuration\n${sorted.map(describeProblem).join("\n")}`);
    this.problems = sorted;
  }
}

/** `file:line:column`, the variable's name, `--flag` or `default`. */
export function describeOrigin(origin: Origin): string {
  switch (origin.kind) {
    case "default":
      return "default";
    case "file":
      return `${origin.place.file}:${origin.place.line}:${origin.place.column}`;
    case "env":
      return origin.name;
    case "flag":
      return `--${origin.name}`;
  }
}

/** One line without a line break at its end. */
export function describeProblem({ origin, key, rule, received, nearest }: Problem): string {
  const subject = key === null ? "" : `${key}: `;
  const value = received === undefined ? "" : `; received ${received}`;
  const hint = nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
  return `${describeOrigin(origin)}: ${subject}${rule}${value}${hint}`;
}

function byPlace(a: Problem, b: Problem): number {
  if (a.origin.kind !== "file" || b.origin.kind !== "file") {
    return Number(a.origin.kind !== "file") - Number(b.origin.kind !== "file");
  }
  const [left, right] = [a.origin.place, b.origin.place];
  if (left.file !== right.file) return left.file < right.file ? -1 : 1;
  return left.line - right.line || left.column - right.column;
}
