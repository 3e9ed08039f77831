import { assertEquals } from "@std/assert";
import { enforceLimits } from "../../../src/projects/enforce_limits.ts";
import { buildEnvelope, parseEnvelope } from "../../../src/protocol/envelope.ts";
import { parseRateLimits } from "../../../src/protocol/rate_limit.ts";
import { concatBytes } from "../../../src/core/bytes.ts";

const NOW = 1_000_000;

function itemsOf(...headers: Record<string, unknown>[]) {
  const items = headers.map((header) => ({ headers: header, payload: new TextEncoder().encode("{}") }));
  return parseEnvelope(concatBytes(buildEnvelope({}, items))).items;
}

const item = (type: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  type,
  ...more,
});
const MINIDUMP = item("attachment", { attachment_type: "event.minidump" });

/** Section 5.5: items sent, limits active, types kept, how many limits are announced. */
const ROWS: readonly (readonly [string, Record<string, unknown>[], string, string[], number])[] = [
  ["no limit", [item("event")], "", ["event"], 0],
  ["another category", [item("event")], "60:transaction:key", ["event"], 0],
  ["an empty list means all", [item("event"), item("session")], "60::organization", [], 1],
  [
    "the event goes with all that requires it",
    [item("event"), item("attachment"), item("session")],
    "60:error:key",
    [
      "session",
    ],
    1,
  ],
  ["plain attachments go alone", [item("event"), item("attachment")], "60:attachment:key", ["event"], 1],
  ["attachment_item limits attachments, too", [item("event"), item("attachment")], "60:attachment_item:key", [
    "event",
  ], 1],
  ["crash attachments stay and are not announced", [MINIDUMP], "60:attachment:key", ["attachment"], 0],
  ["a crash attachment is an error", [MINIDUMP, item("attachment")], "60:error:key", [], 1],
  ["user_report shares the feedback limit", [item("user_report")], "60:feedback:key", [], 1],
  ["session is removed, sessions is announced only", [item("session"), item("sessions")], "60:session:key", [
    "sessions",
  ], 1],
  ["statsd is announced only", [item("statsd")], "60:metric_bucket:organization", ["statsd"], 1],
  [
    "a profile goes with its transaction",
    [item("transaction"), item("profile")],
    "60:transaction:key",
    [],
    1,
  ],
  ["replays go by their category", [item("replay_event"), item("replay_recording")], "60:replay:key", [], 1],
  ["check-ins are monitors", [item("check_in")], "60:monitor:key", [], 1],
  ["logs go by bytes, too", [item("log")], "60:log_byte:key", [], 1],
  ["client reports are never limited", [item("client_report")], "60::key", ["client_report"], 0],
  ["unknown items are never limited", [item("future")], "60::key", ["unknown"], 0],
  ["limits on what was not sent are not announced", [item("event")], "60:session:key, 60:replay:key", [
    "event",
  ], 0],
  ["an unknown category alone limits nothing", [item("event")], "60:not_a_category:key", ["event"], 0],
];

for (const [name, sent, limits, kept, announced] of ROWS) {
  Deno.test(`enforceLimits: ${name} (section 5.5)`, () => {
    const result = enforceLimits(itemsOf(...sent), parseRateLimits(limits, NOW), NOW);
    assertEquals(result.kept.map(({ type }) => type.type), kept);
    assertEquals(result.applied.length, announced);
  });
}

Deno.test("enforceLimits: counts what it removed under the limit's reason", () => {
  const limits = parseRateLimits("60:error:key:quota", NOW);
  const { dropped } = enforceLimits(itemsOf(item("event"), item("attachment")), limits, NOW);
  assertEquals(dropped, [
    { category: "error", quantity: 1, reason: "quota" },
    { category: "attachment", quantity: 2, reason: "quota" },
    { category: "attachment_item", quantity: 1, reason: "quota" },
  ]);
});

Deno.test("enforceLimits: an expired limit does nothing", () => {
  const limits = parseRateLimits("60:error:key", NOW);
  assertEquals(enforceLimits(itemsOf(item("event")), limits, NOW + 60_000).kept.length, 1);
});
