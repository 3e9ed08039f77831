/**
 * Envelope parser that is slow and obviously right, to hold the real one against.
 *
 * JSON is read by the grammar, letter by letter, over text in which every byte is one letter; nothing is shared with the
 * real parser. Known keys are the few the tests generate: `type`, `length`, `item_count`, `filename` of items, `event_id`
 * and `no_cache` of envelopes.
 */

/** Where an item of a valid envelope stands. */
export interface ReferenceItem {
  readonly type: string;
  readonly start: number;
  readonly payloadStart: number;
  readonly payloadEnd: number;
  readonly end: number;
}

/** The items, or the first cause (the detail when there is none) of the refusal. */
export type Verdict =
  | { readonly kind: "accepted"; readonly items: readonly ReferenceItem[] }
  | { readonly kind: "refused"; readonly cause: string };

class Refusal extends Error {}
class NotJson extends Error {}

/** What an envelope is, by the book: ingestion reference, sections 3.1 to 3.3. */
export function referenceParse(bytes: Uint8Array): Verdict {
  try {
    return { kind: "accepted", items: parse(bytes) };
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", cause: error.message };
    throw error;
  }
}

function parse(bytes: Uint8Array): ReferenceItem[] {
  if (bytes.length === 0) throw new Refusal("empty request body");
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  const head = readHeader(text, 0, "invalid envelope header", isEnvelopeHeader);
  if (!head) throw new Refusal("missing envelope header");
  const items: ReferenceItem[] = [];
  let at = pastNewline(text, head.end);
  while (at < text.length) {
    const header = readHeader(text, at, "invalid item header", isItemHeader);
    if (!header) throw new Refusal("unexpected end of file");
    if (header.fields.get("type") === "integration") throw new Refusal("envelope contains internal items");
    const payloadStart = pastNewline(text, header.end);
    const length = header.fields.get("length");
    const newline = text.indexOf("\n", payloadStart);
    const payloadEnd = typeof length === "number"
      ? payloadStart + length
      : newline < 0
      ? text.length
      : newline;
    if (payloadEnd > text.length) throw new Refusal("unexpected end of file");
    const end = pastNewline(text, payloadEnd);
    items.push({
      type: String(header.fields.get("type")),
      start: header.start,
      payloadStart,
      payloadEnd,
      end,
    });
    at = end;
  }
  return items;
}

/** A newline, or the end of everything. */
function pastNewline(text: string, at: number): number {
  if (at < text.length && text[at] !== "\n") throw new Refusal("missing newline after header or payload");
  return Math.min(at + 1, text.length);
}

interface Header {
  readonly start: number;
  readonly end: number;
  readonly fields: ReadonlyMap<string, unknown>;
}

function readHeader(
  text: string,
  from: number,
  cause: string,
  isValid: (pairs: Pairs) => boolean,
): Header | null {
  try {
    const reader = new JsonReader(text, from);
    reader.space();
    const start = reader.at;
    if (start === text.length) return null;
    if (text[start] !== "{") throw new NotJson();
    const pairs = reader.object(1);
    if (!isValid(pairs)) throw new NotJson();
    return { start, end: reader.at, fields: new Map(pairs) };
  } catch (error) {
    if (error instanceof NotJson) throw new Refusal(cause);
    throw error;
  }
}

type Pairs = readonly (readonly [string, unknown])[];

function isEnvelopeHeader(pairs: Pairs): boolean {
  return once(pairs, ["event_id", "no_cache"]) && pairs.every(([key, value]) => {
    if (key === "no_cache") return typeof value === "boolean";
    if (key !== "event_id" || value === null) return true;
    return typeof value === "string" && /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value) &&
      [32, 36].includes(value.length);
  });
}

function isItemHeader(pairs: Pairs): boolean {
  const isU32 = (value: unknown) =>
    typeof value === "number" && value >= 0 && value < 2 ** 32 && value % 1 === 0;
  return once(pairs, ["type", "length", "item_count", "filename"]) && pairs.some(([key]) => key === "type") &&
    pairs.every(([key, value]) => {
      if (key === "type") return typeof value === "string";
      if (key === "length" || key === "item_count") return value === null || isU32(value);
      return key !== "filename" || value === null || typeof value === "string";
    });
}

function once(pairs: Pairs, known: readonly string[]): boolean {
  return known.every((name) => pairs.filter(([key]) => key === name).length <= 1);
}

/** Reads one JSON value by the grammar of RFC 8259; only strings, numbers and literals keep their value. */
class JsonReader {
  constructor(readonly text: string, public at: number) {}

  space(): void {
    while (this.at < this.text.length && " \t\n\r".includes(this.text.charAt(this.at))) this.at++;
  }

  object(depth: number): [string, unknown][] {
    const pairs: [string, unknown][] = [];
    this.list("{", "}", depth, () => {
      const key = this.string();
      this.space();
      this.take(/:/y);
      pairs.push([key, this.value(depth)]);
    });
    return pairs;
  }

  value(depth: number): unknown {
    this.space();
    const next = this.text.charAt(this.at);
    if (next === "{") return this.object(depth + 1);
    if (next === "[") return this.list("[", "]", depth + 1, () => void this.value(depth + 1));
    if (next === '"') return this.string();
    return JSON.parse(this.take(/true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y));
  }

  list(open: string, close: string, depth: number, element: () => void): object {
    if (depth > 127) throw new NotJson();
    this.take(open === "{" ? /\{/y : /\[/y);
    this.space();
    if (this.text.charAt(this.at) === close) {
      this.at++;
      return {};
    }
    for (;;) {
      this.space();
      element();
      this.space();
      if (this.take(/[,}\]]/y) === ",") continue;
      if (this.text.charAt(this.at - 1) === close) return {};
      throw new NotJson();
    }
  }

  string(): string {
    // deno-lint-ignore no-control-regex
    const raw = this.take(/"(?:[^"\\\x00-\x1f]|\\["\\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/y);
    try {
      const bytes = Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
      const text: string = JSON.parse(
        new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
      );
      if (text.isWellFormed()) return text;
    } catch {
      // Not UTF-8, which is no JSON either.
    }
    throw new NotJson();
  }

  take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) throw new NotJson();
    this.at += found.length;
    return found;
  }
}
