import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { concatBytes, utf8 } from "../../../src/core/bytes.ts";
import {
  buildEnvelope,
  type Envelope,
  EnvelopeScanner,
  parseEnvelope,
  rewriteEnvelope,
} from "../../../src/protocol/envelope.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { referenceParse, type Verdict } from "../../support/reference_parser.ts";

const itemHeaders = fc.record({
  type: fc.constantFrom(
    "event",
    "attachment",
    "session",
    "future_item",
    "log",
    "check_in",
    "profile_chunk_ui",
  ),
  filename: fc.option(fc.string({ unit: "grapheme" })),
  item_count: fc.nat(),
  extra: fc.jsonValue({ maxDepth: 3 }),
}, { requiredKeys: ["type"] });

const envelopeHeaders = fc.record({
  event_id: fc.option(fc.uuid()),
  no_cache: fc.boolean(),
  sdk: fc.jsonValue({ maxDepth: 3 }),
  'naïve "key"': fc.constant(1),
}, { requiredKeys: [] });

const payload = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.json({ maxDepth: 2 }).map(utf8));

/** Bytes of a valid envelope. */
const envelopeBytes = fc.tuple(
  envelopeHeaders,
  fc.array(fc.record({ headers: itemHeaders, payload, hasLength: fc.boolean() }), { maxLength: 3 }),
  fc.boolean(),
).map(([headers, items, isTerminated]) => {
  const chunks = buildEnvelope(headers, []);
  for (const { headers, payload, hasLength } of items) {
    if (hasLength) chunks.push(...buildEnvelope({}, [{ headers, payload }]).slice(1));
    else chunks.push(utf8(`${JSON.stringify(headers)}\n`), payload.filter((byte) => byte !== 10), utf8("\n"));
  }
  const bytes = concatBytes(chunks);
  return isTerminated ? bytes : bytes.slice(0, -1);
});

const token = fc.constantFrom(
  ...'{}[]",:\\\n\r\t 019.-\u00ff\u00c3'.split("").map((letter) => Uint8Array.of(letter.charCodeAt(0))),
  ...[
    '"type"',
    '"length":3',
    '"event_id":null',
    "null",
    "\\ud800",
    "\\u0041",
    '{"type":"event"}\n',
    "1e3",
    "-0",
    '"length":null,',
    '"type":"integration",',
    '"item_count":1,',
  ]
    .map(utf8),
);

/** Evenly spread, which `fc.double` is not: nearly all of its values lie next to 0. */
const share = fc.noBias(fc.nat({ max: 9999 })).map((part) => part / 10_000);

/** One change: what is removed at a place (a share of the length) and what is put there. */
const mutation = fc.record({
  place: share,
  removed: fc.nat({ max: 4 }),
  inserted: fc.oneof(token, fc.uint8Array({ maxLength: 3 }), fc.constant(new Uint8Array(0))),
});

const mutatedBytes = fc.tuple(envelopeBytes, fc.array(mutation, { minLength: 1, maxLength: 3 })).map(
  ([bytes, mutations]) =>
    mutations.reduce((before, { place, removed, inserted }) => {
      const at = Math.floor(place * before.length);
      return concatBytes([before.subarray(0, at), inserted, before.subarray(at + removed)]);
    }, bytes),
);

const tokenSoup = fc.array(token, { maxLength: 30 }).map((tokens) => concatBytes([utf8("{}\n"), ...tokens]));

function verdictOf(bytes: Uint8Array): Verdict {
  try {
    const items = parseEnvelope(bytes).items.map(({ headers, start, payloadStart, payloadEnd, end }) => {
      return { type: headers.type, start, payloadStart, payloadEnd, end };
    });
    return { kind: "accepted", items };
  } catch (error) {
    if (!(error instanceof RequestError) || error.body.kind !== "json") throw error;
    return { kind: "refused", cause: error.body.causes[0] ?? error.body.detail };
  }
}

/** Everything that an envelope says, or how it is refused. */
function outcomeOf(read: () => Envelope): unknown {
  try {
    const { headers, eventId, dsn, headerStart, headerEnd, items } = read();
    return { headers, eventId, dsn, headerStart, headerEnd, items };
  } catch (error) {
    if (error instanceof RequestError) return { status: error.status, body: error.body };
    throw error;
  }
}

const parsed = (input: Uint8Array): unknown => outcomeOf(() => parseEnvelope(input));

/** The same read in pieces, whose payloads of events are what stood there. */
function scanned(input: Uint8Array, cuts: readonly number[]): unknown {
  return outcomeOf(() => {
    const scanner = new EnvelopeScanner();
    const places = cuts.map((place) => Math.floor(place * input.length)).sort((a, b) => a - b);
    for (const [index, place] of [0, ...places].entries()) {
      // A copy that changes afterwards: nothing of it may be held.
      const chunk = input.slice(place, places[index] ?? input.length);
      scanner.push(chunk);
      chunk.fill(0);
    }
    const envelope = scanner.finish();
    for (const [item, payload] of envelope.payloads) {
      assertEquals(payload, input.slice(item.payloadStart, item.payloadEnd));
    }
    assertEquals(envelope.length, input.length);
    const newline = input.indexOf(10);
    assertEquals(scanner.firstLine, newline < 0 ? input : input.slice(0, newline));
    return envelope;
  });
}

function accepted(bytes: Uint8Array): Envelope | null {
  return referenceParse(bytes).kind === "accepted" ? parseEnvelope(bytes) : null;
}

for (
  const [name, bytes] of [
    ["generated envelopes", envelopeBytes],
    ["mutated envelopes", mutatedBytes],
    ["strings of tokens", tokenSoup],
    ["random bytes", fc.uint8Array({ maxLength: 60 })],
  ] as const
) {
  Deno.test(`parseEnvelope: verdict and item ranges agree with the reference parser on ${name}`, () => {
    fc.assert(fc.property(bytes, (input) => assertEquals(verdictOf(input), referenceParse(input))), {
      numRuns: 3000,
    });
  });

  Deno.test(`EnvelopeScanner: says the same as parseEnvelope, however the bytes are cut: ${name}`, () => {
    const cuts = fc.array(share, { maxLength: 8 });
    const property = fc.property(
      bytes,
      cuts,
      (input, cuts) => assertEquals(scanned(input, cuts), parsed(input)),
    );
    fc.assert(property, { numRuns: 3000 });
  });
}

Deno.test("rewriteEnvelope: an unchanged envelope comes out byte for byte, with the last newline added", () => {
  fc.assert(fc.property(envelopeBytes, (input) => {
    const envelope = accepted(input);
    if (envelope === null) return;
    const written = concatBytes(rewriteEnvelope(envelope, {}));
    const last = envelope.items.at(-1);
    const missing = last === undefined
      ? input.length - envelope.headerEnd === 0 ? 1 : 0
      : last.end > last.payloadEnd
      ? 0
      : last.payloadStart === input.length && input.at(-1) !== 10
      ? 2
      : 1;
    assertEquals(written, concatBytes([input, utf8("\n".repeat(missing))]));
  }));
});

Deno.test("rewriteEnvelope: any subset of items of any valid envelope parses to those items and payloads", () => {
  fc.assert(
    fc.property(fc.oneof(envelopeBytes, mutatedBytes), fc.infiniteStream(fc.boolean()), (input, choices) => {
      const envelope = accepted(input);
      if (envelope === null) return;
      const items = envelope.items.filter(() => choices.next().value);
      const headers = { event_id: "0123456789abcdef0123456789abcdef", no_cache: undefined };
      const written = parseEnvelope(concatBytes(rewriteEnvelope(envelope, { headers, items })));
      const { no_cache: _, ...kept } = envelope.headers;
      assertEquals(written.headers, JSON.parse(JSON.stringify({ ...kept, event_id: headers.event_id })));
      assertEquals(
        written.items.map((item) => [item.headers, written.bytes.slice(item.payloadStart, item.payloadEnd)]),
        items.map((item) => [item.headers, input.slice(item.payloadStart, item.payloadEnd)]),
      );
    }),
  );
});
