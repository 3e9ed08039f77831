import { assertEquals, assertThrows } from "@std/assert";
import { concatBytes } from "../../../src/core/bytes.ts";
import { buildEnvelope, parseEnvelope } from "../../../src/protocol/envelope.ts";
import { checkItemLimits, DEFAULT_ITEM_LIMITS, type ItemLimits } from "../../../src/protocol/item_limits.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";

/** Small limits, so that every one of them is in reach: `[headers, bytes]` per item. */
const LIMITS: ItemLimits = {
  maxEventSize: 100,
  maxAttachmentSize: 50,
  maxAttachmentCount: 2,
  maxAttachmentsSize: 80,
  maxReplayCompressedSize: 40,
  maxSessionsSize: 30,
  maxSessionCount: 2,
  maxClientReportsSize: 30,
  maxClientReportsCount: 2,
  maxProfileSize: 60,
  maxCheckInSize: 20,
  maxStatsdSize: 20,
  maxMetricBucketsSize: 20,
  maxLogSize: 10,
  maxTraceMetricSize: 10,
  maxSpanSize: 10,
  maxStandaloneSpanCount: 2,
  maxContainerSize: 40,
};

type Items = readonly (readonly [object, number])[];

function check(items: Items): void {
  const parts = items.map(([headers, bytes]) => ({ headers, payload: new Uint8Array(bytes) }));
  checkItemLimits(parseEnvelope(concatBytes(buildEnvelope({}, parts))), LIMITS);
}

const of = (type: string, rest: object = {}) => ({ type, ...rest });
const LOGS = "application/vnd.sentry.items.log+json";
const SPANS = "application/vnd.sentry.items.span.v2+json";
const METRICS = "application/vnd.sentry.items.trace-metric+json";

/** Rows of section 4.3. The name is that of the offender, `null` when all is well. */
const CASES: readonly (readonly [string, Items, string | null])[] = [
  ["event at its size", [[of("event"), 100]], null],
  ["event above its size", [[of("event"), 101]], "event"],
  ["two items of the event group", [[of("event"), 1], [of("feedback"), 1]], "user_report_v2"],
  ["replay event beside form data", [[of("replay_event"), 1], [of("form_data"), 1]], "form_data"],
  ["event beside everything else", [[of("event"), 100], [of("attachment"), 50], [of("profile"), 60], [
    of("session"),
    30,
  ]], null],
  ["attachment above its size", [[of("attachment"), 51]], "attachment:attachment"],
  ["attachments above their sum", [[of("attachment"), 50], [of("unreal_report"), 31]], "unreal_report"],
  [
    "attachments above their count",
    [[of("attachment"), 1], [of("attachment"), 1], [of("user_report"), 1]],
    "user_report",
  ],
  ["minidump", [[of("attachment", { attachment_type: "event.minidump" }), 51]], "attachment:minidump"],
  [
    "apple crash report",
    [[of("attachment", { attachment_type: "event.applecrashreport" }), 51]],
    "attachment:apple_crash_report",
  ],
  ["attachment of a new type", [[of("attachment", { attachment_type: "new" }), 51]], "attachment:unknown"],
  ...([
    ["event.payload", "event_payload"],
    ["event.breadcrumbs", "breadcrumbs"],
    ["event.view_hierarchy", "view_hierarchy"],
    ["unreal.context", "unreal_context"],
    ["unreal.logs", "unreal_logs"],
    ["playstation.prosperodump", "prosperodump"],
    ["nswitch.dying_message", "nintendo_switch_dying_message"],
  ] as const).map((
    [kind, name],
  ): (typeof CASES)[number] => [
    `attachment ${kind}`,
    [[of("attachment", { attachment_type: kind }), 51]],
    `attachment:${name}`,
  ]),
  ...["transaction", "security", "raw_security", "replay_event", "form_data"].map((
    type,
  ): (typeof CASES)[number] => [`${type} above the size of an event`, [[of(type), 101]], type]),
  ["replay recording above its size", [[of("replay_recording"), 41]], "replay_recording"],
  ["replay video above its size", [[of("replay_video"), 41]], "replay_video"],
  ["buckets above their size", [[of("metric_buckets"), 21]], "metric_buckets"],
  ["profile above its size", [[of("profile"), 61]], "profile"],
  ["two check-ins", [[of("check_in"), 1], [of("check_in"), 1]], "check_in"],
  ["client reports above their sum", [[of("client_report"), 16], [of("client_report"), 15]], "client_report"],
  ["span above its size", [[of("span"), 11]], "span"],
  ["replay recording and video", [[of("replay_recording"), 40], [of("replay_video"), 40]], null],
  ["two replay recordings", [[of("replay_recording"), 1], [of("replay_recording"), 1]], "replay_recording"],
  ["sessions above their count", [[of("session"), 1], [of("sessions"), 1], [of("session"), 1]], "session"],
  ["sessions above their sum", [[of("session"), 16], [of("sessions"), 16]], "sessions"],
  ["client reports above their count", [[of("client_report"), 1], [of("client_report"), 1], [
    of("client_report"),
    1,
  ]], "client_report"],
  ["profile and chunk", [[of("profile"), 1], [of("profile_chunk"), 1]], "profile_chunk"],
  ["profile chunk by its old name", [[of("profile_chunk_ui"), 61]], "profile_chunk"],
  ["check-in above its size", [[of("check_in"), 21]], "check_in"],
  ["statsd beside buckets", [[of("statsd"), 20], [of("metric_buckets"), 20]], null],
  ["statsd above its size", [[of("statsd"), 21]], "statsd"],
  ["logs by their average", [[of("log", { content_type: LOGS, item_count: 3 }), 32]], null],
  ["logs above their average", [[of("log", { content_type: LOGS, item_count: 3 }), 33]], "log"],
  ["logs of no item", [[of("log", { content_type: LOGS, item_count: 0 }), 11]], "log"],
  ["logs above the container", [[of("log", { content_type: LOGS, item_count: 99 }), 41]], "log"],
  ["logs in no container", [[of("log", { item_count: 9 }), 11]], "log"],
  [
    "two log containers",
    [[of("log", { content_type: LOGS }), 1], [of("log", { content_type: LOGS }), 1]],
    "log",
  ],
  [
    "trace metrics above their average",
    [[of("trace_metric", { content_type: METRICS, item_count: 2 }), 22]],
    "trace_metric",
  ],
  ["single spans and a container", [[of("span"), 10], [of("span"), 10], [
    of("span", { content_type: SPANS }),
    10,
  ]], null],
  ["single spans above their count", [[of("span"), 1], [of("span"), 1], [of("span"), 1]], "span"],
  ["two span containers", [[of("span", { content_type: SPANS }), 1], [
    of("span", { content_type: SPANS }),
    1,
  ]], "span"],
  ["unknown items", [[of("future"), 1000], [of("future"), 1000]], null],
];

for (const [name, items, offender] of CASES) {
  Deno.test(`checkItemLimits: section 4.3, ${name}`, () => {
    if (offender === null) return check(items);
    const error = assertThrows(() => check(items), RequestError);
    assertEquals([error.status, error.reason, error.toBody()], [
      413,
      "too_large",
      `{"detail":"envelope exceeded size limits for type '${offender}' ` +
      `(https://develop.sentry.dev/sdk/envelopes/#size-limits)"}`,
    ]);
  });
}

Deno.test("DEFAULT_ITEM_LIMITS: section 4.2", () => {
  const MIB = 1024 * 1024;
  assertEquals(DEFAULT_ITEM_LIMITS, {
    maxEventSize: MIB,
    maxAttachmentSize: 200 * MIB,
    maxAttachmentCount: 30,
    maxAttachmentsSize: 200 * MIB,
    maxReplayCompressedSize: 10 * MIB,
    maxSessionsSize: 10 * MIB,
    maxSessionCount: 100,
    maxClientReportsSize: 102_400,
    maxClientReportsCount: 100,
    maxProfileSize: 50 * MIB,
    maxCheckInSize: 102_400,
    maxStatsdSize: MIB,
    maxMetricBucketsSize: MIB,
    maxLogSize: 2 * MIB,
    maxTraceMetricSize: MIB,
    maxSpanSize: 10 * MIB,
    maxStandaloneSpanCount: 25,
    maxContainerSize: 12 * MIB,
  });
});
