import { assertEquals } from "@std/assert";
import { utf8 } from "../../../src/core/bytes.ts";
import { type EnvelopeItem, parseEnvelope } from "../../../src/protocol/envelope.ts";
import {
  createsEvent,
  ITEM_TYPES,
  itemQuantities,
  itemType,
  limitCategories,
  type Quantity,
  totalQuantities,
} from "../../../src/protocol/item_type.ts";

function items(...headers: readonly object[]): readonly EnvelopeItem[] {
  const lines = headers.map((header) => `${JSON.stringify(header)}\n12345\n`);
  return parseEnvelope(utf8(`{}\n${lines.join("")}`)).items;
}

function item(headers: object): EnvelopeItem {
  return items(headers)[0] as EnvelopeItem;
}

/** Rows of section 3.4: header, requires event, creates event, quantities (payloads have five bytes). */
const ROWS: readonly (readonly [object, boolean, boolean, readonly Quantity[]])[] = [
  [{ type: "event" }, true, true, [["error", 1]]],
  [{ type: "event", item_count: 5 }, true, true, [["error", 1]]],
  [{ type: "transaction" }, true, true, [["transaction", 1], ["transaction_indexed", 1], ["span", 1], [
    "span_indexed",
    1,
  ]]],
  [{ type: "transaction", span_count: 4 }, true, true, [
    ["transaction", 1],
    ["transaction_indexed", 1],
    ["span", 5],
    ["span_indexed", 5],
  ]],
  [{ type: "security" }, true, true, [["security", 1]]],
  [{ type: "raw_security" }, true, true, [["security", 1]]],
  [{ type: "feedback" }, true, true, [["feedback", 1]]],
  [{ type: "unreal_report" }, true, true, [["error", 1]]],
  [{ type: "attachment" }, true, false, [["attachment", 5], ["attachment_item", 1]]],
  [{ type: "attachment", attachment_type: "event.view_hierarchy" }, true, false, [["attachment", 5], [
    "attachment_item",
    1,
  ]]],
  [{ type: "attachment", attachment_type: "event.minidump" }, true, true, [["attachment", 5], [
    "attachment_item",
    1,
  ]]],
  [{ type: "form_data" }, true, false, []],
  [{ type: "user_report" }, true, false, [["feedback", 1]]],
  [{ type: "profile" }, true, false, [["profile", 1], ["profile_indexed", 1]]],
  [{ type: "profile", platform: "cocoa" }, true, false, [["profile", 1], ["profile_indexed", 1], [
    "profile_ui",
    1,
  ]]],
  [{ type: "profile", platform: "python" }, true, false, [["profile", 1], ["profile_indexed", 1], [
    "profile_backend",
    1,
  ]]],
  [{ type: "profile_chunk" }, false, false, []],
  [{ type: "profile_chunk", platform: "python" }, false, false, [["profile_chunk", 1]]],
  [{ type: "profile_chunk_ui", platform: "android" }, false, false, [["profile_chunk_ui", 1]]],
  [{ type: "replay_event" }, true, false, [["replay", 1]]],
  [{ type: "replay_recording" }, false, false, [["replay", 1]]],
  [{ type: "replay_video" }, false, false, [["replay", 1]]],
  [{ type: "session" }, false, false, [["session", 1]]],
  [{ type: "sessions" }, false, false, [["session", 1]]],
  [{ type: "check_in" }, false, false, [["monitor", 1]]],
  [{ type: "client_report" }, false, false, []],
  [{ type: "statsd" }, false, false, []],
  [{ type: "metric_buckets" }, false, false, []],
  [{ type: "log", item_count: 3 }, false, false, [["log_byte", 5], ["log_item", 3]]],
  [{ type: "trace_metric", item_count: 2 }, false, false, [["trace_metric", 2], ["trace_metric_byte", 5]]],
  [{ type: "span" }, false, false, [["span", 1], ["span_indexed", 1]]],
  [{ type: "span", item_count: 2 }, false, false, [["span", 2], ["span_indexed", 2]]],
  [{ type: "from_the_future", item_count: 2 }, false, false, []],
];

for (const [headers, requiresEvent, creates, quantities] of ROWS) {
  Deno.test(`itemType: section 3.4, ${JSON.stringify(headers)}`, () => {
    const counted = item(headers);
    assertEquals(counted.type.requiresEvent, requiresEvent);
    assertEquals(createsEvent(counted), creates);
    assertEquals(itemQuantities(counted), [...quantities]);
  });
}

Deno.test("itemQuantities: section 3.4, empty attachments and logs count one byte", () => {
  const empty = parseEnvelope(utf8('{}\n{"type":"attachment"}\n\n{"type":"log"}\n\n')).items;
  assertEquals(empty.flatMap(itemQuantities), [["attachment", 1], ["attachment_item", 1], ["log_byte", 1], [
    "log_item",
    1,
  ]]);
});

Deno.test("itemType: names are case-sensitive and unique, others are unknown", () => {
  assertEquals(itemType("Event").type, "unknown");
  assertEquals(itemType("constructor").type, "unknown");
  assertEquals(new Set(ITEM_TYPES.map(({ type }) => type)).size, ITEM_TYPES.length);
});

/** Control reference, section 6: which limits are asked for which item. */
for (
  const [headers, categories] of [
    [{ type: "attachment" }, ["attachment", "attachment_item"]],
    [{ type: "log" }, ["log_item", "log_byte"]],
    [{ type: "profile", platform: "javascript" }, ["profile", "profile_ui"]],
    [{ type: "profile" }, ["profile"]],
    [{ type: "profile_chunk", platform: "javascript" }, ["profile_chunk_ui"]],
    [{ type: "user_report" }, ["feedback"]],
    [{ type: "client_report" }, []],
    [{ type: "from_the_future" }, []],
  ] as const
) {
  Deno.test(`limitCategories: control section 6, ${JSON.stringify(headers)}`, () => {
    assertEquals(limitCategories(item(headers)), [...categories]);
  });
}

Deno.test("ITEM_TYPES: section 5.5, session aggregates and metrics are announced but not removed", () => {
  const kept = ITEM_TYPES.filter(({ removedWhenLimited }) => !removedWhenLimited).map(({ type }) => type);
  assertEquals(kept, ["sessions", "statsd", "metric_buckets"]);
});

Deno.test("totalQuantities: sums per category", () => {
  assertEquals(totalQuantities(items({ type: "event" }, { type: "attachment" }, { type: "attachment" })), [
    ["error", 1],
    ["attachment", 10],
    ["attachment_item", 2],
  ]);
  assertEquals(totalQuantities([]), []);
});

Deno.test("totalQuantities: a crash report is an error of its own only without an event beside it", () => {
  const dump = { type: "attachment", attachment_type: "event.minidump" };
  assertEquals(totalQuantities(items(dump)), [["attachment", 5], ["attachment_item", 1], ["error", 1]]);
  assertEquals(totalQuantities(items({ type: "event" }, dump)), [["error", 1], ["attachment", 5], [
    "attachment_item",
    1,
  ]]);
});
