/** Containers of many logs, spans or metrics: ingestion reference, section 3.3. */
import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { concatBytes, fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import {
  buildEnvelope,
  type EnvelopeItem,
  EnvelopeScanner,
  parseEnvelope,
  rewriteEnvelope,
} from "../../../src/protocol/envelope.ts";
import { envelopeParts, selectParts } from "../../../src/protocol/envelope_ranges.ts";
import { areWhole, elementExtents, keepElements } from "../../../src/protocol/item_container.ts";
import { itemQuantities } from "../../../src/protocol/item_type.ts";

/** Payloads and the elements that are found in them, as they stand there. */
const PAYLOADS: readonly (readonly [payload: string, elements: readonly string[]])[] = [
  [`{"items":[1,2]}`, ["1", "2"]],
  [`{"items":[{"a":[1,2],"b":{"items":[3]}},{"c":"],}"}]}`, [
    `{"a":[1,2],"b":{"items":[3]}}`,
    `{"c":"],}"}`,
  ]],
  [`{"version":2,"x":{"items":[9]},"items":[{}],"y":[1,2]}`, ["{}"]],
  [` { "items" : [ 1 ,\n 2 ] } `, [" 1 ", "\n 2 "]],
  [`{"items":[{"a":"\\"],\\\\"}]}`, [`{"a":"\\"],\\\\"}`]],
  [`{"name":"items","items":[1]}`, ["1"]],
  [`{"a":"items","b":[1,2]}`, []],
  [`{"items":{"items":[1]}}`, []],
  [`{"items":[1],"items":[2]}`, []],
  [`{"items":[]}`, [""]],
  [`{}`, []],
];

for (const [payload, elements] of PAYLOADS) {
  Deno.test(`elementExtents of ${payload}`, () => {
    const found = elementExtents(utf8(payload)).map(({ from, to }) => payload.slice(from, to));
    assertEquals(found, [...elements]);
  });
}

Deno.test("elementExtents finds each element of any container", () => {
  const space = fc.constantFrom(undefined, 2);
  fc.assert(
    fc.property(fc.array(fc.json(), { minLength: 1 }), fc.dictionary(fc.string(), fc.jsonValue()), space, (
      elements,
      more,
      indent,
    ) => {
      const items = elements.map((text) => JSON.parse(text));
      const bytes = utf8(JSON.stringify({ ...more, items, last: more }, null, indent));
      const found = elementExtents(bytes).map(({ from, to }) =>
        JSON.parse(fromUtf8(bytes.subarray(from, to)))
      );
      assertEquals(found, items);
    }),
  );
});

const LOGS = `{"version":2,"items":[{"n":18446744073709551615},{"n":1.0},{"n":"drei"}],"z":1e400}`;
const PLAIN = { headers: { type: "event" }, payload: utf8("{}") };

function containerIn(envelope: { readonly items: readonly EnvelopeItem[] }): EnvelopeItem {
  return envelope.items.find(({ type }) => type.type === "log")!;
}

for (const hasLength of [true, false]) {
  Deno.test(`keepElements ${hasLength ? "with" : "without"} length: the rest stays byte by byte, headers and quantities follow`, () => {
    const header = {
      type: "log",
      item_count: 3,
      content_type: "application/vnd.sentry.items.log+json",
      own: 7,
    };
    const bytes = hasLength
      ? concatBytes(buildEnvelope({}, [PLAIN, { headers: header, payload: utf8(LOGS) }, PLAIN]))
      : utf8(`{}\n{"type":"event"}\n{}\n${JSON.stringify(header)}\n${LOGS}\n{"type":"event"}\n{}\n`);
    const envelope = parseEnvelope(bytes);
    const container = containerIn(envelope);
    const left = keepElements(bytes, container, [0, 2]);
    const items = envelope.items.map((item) => item === container ? left : item);
    const again = parseEnvelope(concatBytes(rewriteEnvelope(envelope, { items })));
    const expected = `{"version":2,"items":[{"n":18446744073709551615},{"n":"drei"}],"z":1e400}`;
    const rest = containerIn(again);
    assertEquals(fromUtf8(again.bytes.subarray(rest.payloadStart, rest.payloadEnd)), expected);
    assertEquals(rest.headers, { ...header, item_count: 2, length: expected.length });
    assertEquals(again.items.map(({ type }) => type.type), ["event", "log", "event"]);
    assertEquals(itemQuantities(left), itemQuantities(rest));
    assertEquals(itemQuantities(left), [["log_byte", expected.length], ["log_item", 2]]);
    assertStrictEquals(left.rest!.of, container);
    assertEquals([areWhole(items, envelope.items), areWhole([...envelope.items], envelope.items)], [
      false,
      true,
    ]);
  });
}

Deno.test("what is left of a container stands in an envelope that passes by, too", async () => {
  const bytes = utf8(`{}\n{"type":"event"}\n{}\n{"type":"log","item_count":3}\n${LOGS}`);
  const scanner = new EnvelopeScanner();
  scanner.push(bytes);
  const envelope = scanner.finish();
  const [event, container] = envelope.items as [EnvelopeItem, EnvelopeItem];
  const items = [event, keepElements(bytes, container, [1])];
  const chunks = ReadableStream.from([bytes.slice(0, 40), bytes.slice(40)]);
  const parts = await Array.fromAsync(
    selectParts(chunks, envelopeParts(envelope, { items })),
    (part) => part.slice(),
  );
  const held = rewriteEnvelope({ ...envelope, bytes }, { items });
  assertEquals(fromUtf8(concatBytes(parts)), fromUtf8(concatBytes(held)));
});
