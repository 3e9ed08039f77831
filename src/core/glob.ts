/**
 * Globs as Sentry writes them: `*`, `?`, classes `[a-z]` and `[!a-z]`, alternatives `{a,b}`, backslash escape.
 *
 * A glob matches the whole text. Patterns come from project settings and texts from clients, so the time must not
 * depend on how nastily they fit: patterns of literals and stars at their ends are compared as text, all others run as
 * a set of states, one pass over the text. Source: control reference, section 7 ("Globs").
 */

/** Says whether a text matches. */
export type Glob = (text: string) => boolean;

/** Longest pattern; a longer one matches nothing. */
const CHARACTERS_MAX = 4096;

type Test = (code: number) => boolean;

/** One state: consumes a character if `test` lets it, or goes on for free. */
interface State {
  readonly test: Test | null;
  /** Where it goes: after the character, or for free (several). */
  readonly to: number[];
}

/** Prepares a pattern. */
export function compileGlob(pattern: string, options: { ignoreCase?: boolean } = {}): Glob {
  const { ignoreCase = true } = options;
  const folded = ignoreCase ? pattern.toLowerCase() : pattern;
  const plain = plainGlob(folded) ?? automatonGlob(folded);
  return ignoreCase ? (text) => plain(text.toLowerCase()) : plain;
}

/** A matcher for any of the patterns. */
export function compileGlobs(patterns: readonly string[], options: { ignoreCase?: boolean } = {}): Glob {
  const globs = patterns.map((pattern) => compileGlob(pattern, options));
  return (text) => globs.some((glob) => glob(text));
}

/** `abc`, `*abc`, `abc*`, `*abc*` and `*`, which is what most patterns are. */
function plainGlob(pattern: string): Glob | null {
  const body = pattern.replace(/^\*+|\*+$/g, "");
  if (/[*?[\]{}\\]/.test(body)) return null;
  const open = [pattern.startsWith("*"), pattern.endsWith("*")];
  if (body === "") return open[0] ? () => true : (text) => text === "";
  if (open[0]) return open[1] ? (text) => text.includes(body) : (text) => text.endsWith(body);
  return open[1] ? (text) => text.startsWith(body) : (text) => text === body;
}

function automatonGlob(pattern: string): Glob {
  if (pattern.length > CHARACTERS_MAX) return () => false;
  const states = new GlobParser(pattern).parse();
  const last = states.length - 1;
  return (text) => {
    let current = new Set<number>();
    enter(states, 0, current);
    for (const character of text) {
      const code = character.codePointAt(0)!;
      const next = new Set<number>();
      for (const at of current) {
        const { test, to } = states[at]!;
        if (test?.(code)) { for (const target of to) enter(states, target, next); }
      }
      if (next.size === 0) return false;
      current = next;
    }
    return current.has(last);
  };
}

/** Adds a state and all that can be reached from it for free. */
function enter(states: readonly State[], first: number, into: Set<number>): void {
  const open = [first];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (into.has(at)) continue;
    into.add(at);
    const { test, to } = states[at]!;
    if (test === null) open.push(...to);
  }
}

/** Builds the states of a pattern; the last one is the end. */
class GlobParser {
  readonly #characters: readonly string[];
  readonly #states: State[] = [];
  #at = 0;

  constructor(pattern: string) {
    this.#characters = [...pattern];
  }

  parse(): readonly State[] {
    this.#sequence(0);
    this.#add(null);
    return this.#states;
  }

  /** Up to the end, or within braces up to `,` or `}`. */
  #sequence(depth: number): void {
    while (this.#at < this.#characters.length) {
      const character = this.#characters[this.#at]!;
      if (depth > 0 && (character === "," || character === "}")) return;
      this.#at++;
      if (character === "*") this.#star();
      else if (character === "?") this.#add(() => true);
      else if (character === "[") this.#add(this.#class() ?? literal("["));
      else if (character === "{" && this.#closes()) this.#alternatives(depth);
      else if (character === "\\" && this.#at < this.#characters.length) {
        this.#add(literal(this.#characters[this.#at++]!));
      } else this.#add(literal(character));
    }
  }

  /** A state that goes to the one after it. */
  #add(test: Test | null): number {
    const index = this.#states.length;
    this.#states.push({ test, to: test === null ? [] : [index + 1] });
    return index;
  }

  #star(): void {
    const fork = this.#add(null);
    const any = this.#add(() => true);
    this.#states[any]!.to[0] = fork;
    this.#states[fork]!.to.push(any, any + 1);
  }

  #alternatives(depth: number): void {
    const fork = this.#add(null);
    const ends: number[] = [];
    for (let more = true; more;) {
      this.#states[fork]!.to.push(this.#states.length);
      this.#sequence(depth + 1);
      ends.push(this.#add(null));
      more = this.#characters[this.#at++] === ",";
    }
    for (const end of ends) this.#states[end]!.to.push(this.#states.length);
  }

  /** Whether the brace that has just been read is closed; one that is not is a character like others. */
  #closes(): boolean {
    let depth = 1;
    for (let at = this.#at; at < this.#characters.length; at++) {
      const character = this.#characters[at];
      if (character === "\\") at++;
      else if (character === "{") depth++;
      else if (character === "}" && --depth === 0) return true;
    }
    return false;
  }

  /** A class up to its `]`, which right after the opening stands for itself; `null` when it is never closed. */
  #class(): Test | null {
    let at = this.#at;
    const isNegated = this.#characters[at] === "!" || this.#characters[at] === "^";
    if (isNegated) at++;
    const ranges: [number, number][] = [];
    for (let isFirst = true;; isFirst = false) {
      let character = this.#characters[at++];
      if (character === undefined) return null;
      if (character === "]" && !isFirst) break;
      if (character === "\\") character = this.#characters[at++] ?? "\\";
      const low = character.codePointAt(0)!;
      const upper = this.#characters[at + 1];
      if (this.#characters[at] === "-" && upper !== undefined && upper !== "]") {
        ranges.push([low, upper.codePointAt(0)!]);
        at += 2;
      } else ranges.push([low, low]);
    }
    this.#at = at;
    return (code) => ranges.some(([low, high]) => low <= code && code <= high) !== isNegated;
  }
}

function literal(character: string): Test {
  const code = character.codePointAt(0)!;
  return (other) => other === code;
}
