/** What inbound filters take out of whole envelopes, by kind of item: control reference, section 7. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { concatBytes, fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { filterItems } from "../../../src/projects/filters/filter_items.ts";
import { filterSettingsDocument } from "../../../src/projects/filters/filter_settings.ts";
import { InboundFilters } from "../../../src/projects/filters/inbound_filters.ts";
import { buildEnvelope, EnvelopeScanner, parseEnvelope } from "../../../src/protocol/envelope.ts";

const OLD = "Mozilla/5.0 (X11; Linux x86_64; rv:60.0) Gecko/20100101 Firefox/60.0";
const NEW = OLD.replaceAll("60.0", "140.0");
const BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://x)";
const on = { isEnabled: true };
const ADDRESSES = { clientIps: { blacklistedIps: ["203.0.113.0/24"] } };
const RELEASES = { releases: { releases: ["1.*"] } };
const BROWSERS = { legacyBrowsers: { ...on, options: ["firefox", "ie"] } };
const CRAWLERS = { webCrawlers: on };
const LOCAL = { localhost: on };
const IGNORED = { ignoreTransactions: { ...on, patterns: ["/health*"] } };
const generic = (condition: object) => ({
  generic: { version: 1, filters: [{ id: "named", isEnabled: true, condition }] },
});
const eqOf = (name: string, value: unknown) => ({ op: "eq", name, value });
const eq = (name: string, value: unknown) => generic(eqOf(name, value));

interface Sent {
  readonly type: string;
  readonly payload: unknown;
  readonly headers?: object;
}
const container = (type: string, items: readonly unknown[], headers: object = {}): Sent => ({
  type,
  payload: { version: 2, items },
  headers: { item_count: items.length, ...headers },
});
const attributes = (values: Readonly<Record<string, unknown>>) => ({
  attributes: Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { value, type: "string" }]),
  ),
});
const browser = (family: string, version: string) =>
  attributes({ "sentry.browser.name": family, "sentry.browser.version": version });

function verdictOf(
  settings: object,
  sent: readonly Sent[],
  userAgent: string | null = null,
  trace: unknown = undefined,
) {
  const filters = new InboundFilters(filterSettingsDocument.parse(settings), null);
  const items = sent.map(({ type, payload, headers }) => ({
    headers: { type, ...headers },
    payload: typeof payload === "string" ? utf8(payload) : utf8(JSON.stringify(payload)),
  }));
  const bytes = concatBytes(buildEnvelope({ trace }, items));
  const envelope = parseEnvelope(bytes);
  const policed = { key: "k", eventId: null, remoteAddr: "203.0.113.7", userAgent };
  const verdict = filterItems({ ...policed, envelope, items: envelope.items }, filters);
  const left = verdict.kept.map(({ type, headers, rest }) =>
    rest ? `${type.type} ${headers.item_count}: ${rest.elements}` : type.type
  );
  return { left, dropped: verdict.dropped.map((d) => `${d.reason} ${d.category} ${d.quantity}`), verdict };
}

const span = (data: object) => ({ type: "span", payload: { op: "http", data } });

/** Settings, what is sent, what of it is left. */
const ROWS: readonly (readonly [
  what: string,
  settings: object,
  sent: readonly Sent[],
  left: readonly string[],
  userAgent?: string,
])[] = [
  // An item that is one of its kind.
  ["span, release", RELEASES, [span({ "sentry.release": "1.0" }), span({ "sentry.release": "2.0" })], [
    "span",
  ]],
  ["span, release by its old name", RELEASES, [span({ release: "1.0" })], []],
  ["span, segment", IGNORED, [span({ "sentry.segment.name": "/healthz" })], []],
  ["span, segment by its old name", IGNORED, [span({ segment_name: "/healthz" })], []],
  ["span, another segment", IGNORED, [span({ "sentry.segment.name": "/" })], ["span"]],
  ["span, no segment", IGNORED, [span({})], ["span"]],
  ["span, local URL", LOCAL, [span({ "url.full": "http://shop.localhost:80/a" })], []],
  ["span, local user", LOCAL, [span({ "client.address": "::1" })], []],
  ["span, other URL", LOCAL, [span({ "url.full": "https://x.test/localhost" })], ["span"]],
  ["span, user agent", BROWSERS, [span({ "user_agent.original": OLD })], []],
  [
    "span, its user agent before the request's",
    BROWSERS,
    [span({ "user_agent.original": NEW })],
    ["span"],
    OLD,
  ],
  ["span, the request's user agent", BROWSERS, [span({})], [], OLD],
  ["span, crawler", CRAWLERS, [span({ "user_agent.original": BOT })], []],
  ["span, client address", ADDRESSES, [span({})], []],
  ["span, condition on data", eq("span.data.http.method", "GET"), [span({ "http.method": "GET" })], []],
  ["span, condition on a field", eq("span.op", "http"), [span({})], []],
  ["span, condition on another", eq("span.op", "db"), [span({})], ["span"]],
  // Containers, of which the filtered ones fall.
  [
    "spans, release",
    RELEASES,
    [container("span", [attributes({ "sentry.release": "1.0" }), attributes({ "sentry.release": "2.0" })])],
    ["span 1: 1"],
  ],
  [
    "spans, segment",
    IGNORED,
    [container("span", [
      attributes({ "sentry.segment.name": "/" }),
      attributes({ "sentry.segment.name": "/health" }),
      attributes({}),
    ])],
    ["span 2: 0,2"],
  ],
  ["spans, all", IGNORED, [container("span", [attributes({ "sentry.segment.name": "/health" })])], []],
  [
    "spans, condition on an attribute",
    eq("span.attributes.db.system.value", "redis"),
    [container("span", [attributes({ "db.system": "redis" }), attributes({ "db.system": "mysql" })])],
    ["span 1: 1"],
  ],
  [
    "spans, condition on the name",
    generic({ op: "glob", name: "span.name", value: ["GET *"] }),
    [container("span", [{ name: "get /a" }, { name: "POST /a" }])],
    ["span 1: 1"],
  ],
  [
    "logs, release",
    RELEASES,
    [container("log", [attributes({ "sentry.release": "1.0" }), attributes({ "sentry.release": "2.0" })])],
    ["log 1: 1"],
  ],
  ["logs, one without release", RELEASES, [container("log", [{ body: "x" }])], ["log"]],
  [
    "logs, browser as named",
    BROWSERS,
    [container("log", [
      browser("Firefox", "60.0.1"),
      browser("Firefox", "140"),
      browser("IE Mobile", "11.0"),
    ])],
    ["log 1: 1"],
  ],
  [
    "logs, a browser without a number is none",
    BROWSERS,
    [container("log", [browser("Firefox", "sixty"), attributes({ "sentry.browser.name": "Firefox" })])],
    ["log"],
  ],
  ["logs, user agent", BROWSERS, [container("log", [attributes({ "user_agent.original": OLD }), {}])], [
    "log 1: 1",
  ]],
  [
    "logs, the named browser before the request's",
    BROWSERS,
    [container("log", [browser("Firefox", "140")])],
    [
      "log",
    ],
    OLD,
  ],
  ["logs, the request's user agent", BROWSERS, [container("log", [{}, browser("Firefox", "140")])], [
    "log 1: 1",
  ], OLD],
  ["logs, crawler", CRAWLERS, [container("log", [{}, attributes({ "user_agent.original": BOT })])], [
    "log 1: 0",
  ]],
  ["logs, crawler by family", CRAWLERS, [container("log", [browser("Googlebot", "2.1"), {}])], ["log 1: 1"]],
  ["logs, client address", ADDRESSES, [container("log", [{}])], []],
  ["logs, condition on the body", generic({ op: "glob", name: "log.body", value: ["*noise*"] }), [
    container("log", [{ body: "some noise" }, { body: "signal" }]),
  ], ["log 1: 1"]],
  ["logs, condition on an attribute", eq("log.attributes.a.b.value", "x"), [
    container("log", [attributes({ "a.b": "x" }), attributes({ "a.b": "y" })]),
  ], ["log 1: 1"]],
  ["logs, an attribute without value is none", eq("log.attributes.a", null), [
    container("log", [attributes({ a: "x" })]),
  ], []],
  ["logs, not by conditions on spans", eq("span.name", null), [container("log", [{}])], ["log"]],
  [
    "logs, not by conditions on events",
    generic({ op: "not", inner: { op: "eq", name: "event.release", value: "1" } }),
    [
      container("log", [{}]),
    ],
    ["log"],
  ],
  ["logs, not by transactions", IGNORED, [
    container("log", [attributes({ "sentry.segment.name": "/health" })]),
  ], [
    "log",
  ]],
  ["logs, not by places", LOCAL, [container("log", [attributes({ "url.full": "http://localhost/" })])], [
    "log",
  ]],
  ["logs, not by messages", { errorMessages: { patterns: ["*"] } }, [container("log", [{ body: "x" }])], [
    "log",
  ]],
  [
    "metrics, release",
    RELEASES,
    [container("trace_metric", [
      attributes({ "sentry.release": "1.0" }),
      attributes({ "sentry.release": "2.0" }),
    ])],
    ["trace_metric 1: 1"],
  ],
  // What cannot be read passes, if the request does.
  ["logs that are no JSON", RELEASES, [{ type: "log", payload: "{", headers: { item_count: 1 } }], ["log"]],
  [
    "logs that are no JSON, crawler",
    CRAWLERS,
    [{ type: "log", payload: "{", headers: { item_count: 1 } }],
    [],
    BOT,
  ],
  ["logs with another count", RELEASES, [
    container("log", [attributes({ "sentry.release": "1.0" })], { item_count: 2 }),
  ], ["log"]],
  ["logs with another count, client address", ADDRESSES, [container("log", [{}], { item_count: 2 })], []],
  ["logs that are none", RELEASES, [container("log", [1, null, "x"])], ["log"]],
  ["logs with two lists", RELEASES, [{
    type: "log",
    payload: `{"items":[1],"items":[${JSON.stringify(attributes({ "sentry.release": "1.0" }))},{}]}`,
    headers: { item_count: 2 },
  }], ["log"]],
  // Sessions, one by one and added up.
  ["session, release", RELEASES, [{ type: "session", payload: { attrs: { release: "1.0" } } }], []],
  ["sessions, release", RELEASES, [{ type: "sessions", payload: { attrs: { release: "1.0" } } }], []],
  ["session, another release", RELEASES, [{ type: "session", payload: { attrs: { release: "2.0" } } }], [
    "session",
  ]],
  ["session, user agent", BROWSERS, [{ type: "session", payload: { attrs: { user_agent: OLD } } }], []],
  ["session, local user", LOCAL, [{ type: "session", payload: { attrs: { ip_address: "127.0.0.1" } } }], []],
  ["session, not by messages", { errorMessages: { patterns: ["*"] } }, [{
    type: "session",
    payload: { attrs: {}, message: "x" },
  }], ["session"]],
  // Events take along what depends on them, replays what belongs to them.
  ["transaction with a profile", IGNORED, [
    { type: "transaction", payload: { type: "transaction", transaction: "/healthz" } },
    { type: "profile", payload: {} },
    { type: "client_report", payload: {} },
  ], ["client_report"]],
  ["event with an attachment", RELEASES, [
    { type: "event", payload: { release: "1.0" } },
    { type: "attachment", payload: "abc" },
  ], []],
  ["replay", RELEASES, [
    { type: "replay_event", payload: { release: "1.0" } },
    { type: "replay_recording", payload: "abc" },
  ], []],
  ["an event does not take logs along", RELEASES, [
    { type: "event", payload: { release: "1.0" } },
    container("log", [attributes({ "sentry.release": "2.0" })]),
  ], ["log"]],
  ["check-ins and reports are not filtered", { ...ADDRESSES, ...RELEASES }, [
    { type: "check_in", payload: { release: "1.0" } },
    { type: "client_report", payload: {} },
  ], ["check_in", "client_report"]],
];

for (const [what, settings, sent, left, userAgent] of ROWS) {
  Deno.test(`filtered items: ${what}`, () => {
    assertEquals(verdictOf(settings, sent, userAgent ?? null).left, [...left]);
  });
}

Deno.test("filtered items: of a container, each filter counts what it took, and all bytes are accounted for", () => {
  const logs = [
    attributes({ "sentry.release": "1.0" }),
    { body: "kept" },
    attributes({ "user_agent.original": BOT }),
    attributes({ "sentry.release": "1.2" }),
  ];
  const size = (log: unknown): number => JSON.stringify(log).length + 1;
  const { dropped, verdict } = verdictOf({ ...RELEASES, ...CRAWLERS }, [container("log", logs)]);
  assertEquals(dropped, [
    `release-version log_byte ${size(logs[0]) + size(logs[3])}`,
    "release-version log_item 2",
    `web-crawlers log_byte ${size(logs[2])}`,
    "web-crawlers log_item 1",
  ]);
  assertEquals(fromUtf8(verdict.kept[0]!.rest!.payload), `{"version":2,"items":[{"body":"kept"}]}`);
  const whole = JSON.stringify({ version: 2, items: logs }).length;
  const bytes = verdict.dropped.filter(({ category }) => category === "log_byte");
  assertEquals(
    bytes.reduce((sum, { quantity }) => sum + quantity, verdict.kept[0]!.rest!.payload.length),
    whole,
  );
});

Deno.test("filtered items: a container of which nothing is left counts as a whole, whatever the reasons", () => {
  const logs = [attributes({ "sentry.release": "1.0" }), attributes({ "user_agent.original": BOT })];
  const whole = JSON.stringify({ version: 2, items: logs }).length;
  for (const sent of [logs, [logs[0]!, logs[0]!]]) {
    const { left, verdict } = verdictOf({ ...RELEASES, ...CRAWLERS }, [container("log", sent)]);
    const sum = (wanted: string): number =>
      verdict.dropped.filter(({ category }) => category === wanted).reduce(
        (sum, { quantity }) => sum + quantity,
        0,
      );
    const bytes = sent === logs ? whole : JSON.stringify({ version: 2, items: sent }).length;
    assertEquals([left, sum("log_item"), sum("log_byte")], [[], 2, bytes]);
  }
});

Deno.test("filtered items: nothing is parsed that no filter reads", () => {
  const settings = filterSettingsDocument.parse({ ...LOCAL, ...ADDRESSES, ...eq("event.release", "1") });
  const filters = new InboundFilters(settings, null);
  assertEquals(
    (["event", "session", "span", "log", "trace_metric", "request"] as const).map((kind) =>
      filters.reads(kind)
    ),
    [
      true,
      true,
      true,
      false,
      false,
      false,
    ],
  );
});

Deno.test("filtered items: the release of the trace stands for an event that was not held, not for its logs", () => {
  const trace = { trace_id: "a".repeat(32), public_key: "b".repeat(32), release: "1.0" };
  const scanner = new EnvelopeScanner();
  scanner.push(
    utf8(
      `${JSON.stringify({ trace })}\n{"type":"event"}\n{}\n{"type":"log","item_count":1}\n{"items":[{}]}\n`,
    ),
  );
  const envelope = { ...scanner.finish(), payloads: new Map() };
  const policed = { key: "k", eventId: null, remoteAddr: "203.0.113.7", userAgent: null };
  const filters = new InboundFilters(filterSettingsDocument.parse(RELEASES), null);
  const { kept } = filterItems({ ...policed, envelope, items: envelope.items }, filters);
  assertEquals(kept.map(({ type }) => type.type), ["log"]);
});

Deno.test("filtered items: containers of more than a MiB, or of 2000 parts, are not read", () => {
  const log = attributes({ "sentry.release": "1.0" });
  assertEquals(verdictOf(RELEASES, [container("log", [log, { body: "x".repeat(1024 * 1024) }])]).left, [
    "log",
  ]);
  assertEquals(verdictOf(RELEASES, [container("log", Array(2000).fill(log))]).left, []);
  assertEquals(verdictOf(RELEASES, [container("log", Array(2001).fill(log))]).left, ["log"]);
});

Deno.test("filtered items: whatever a container holds, each part is kept or counted once, and the rest stays as it was", () => {
  const settings = {
    ...RELEASES,
    ...BROWSERS,
    ...CRAWLERS,
    ...LOCAL,
    ...IGNORED,
    ...generic({
      op: "or",
      inner: [eqOf("log.body", "x"), eqOf("span.name", "x"), eqOf("log.attributes.a.value", "x")],
    }),
  };
  const text = fc.constantFrom("x", "1.0", "2.0", OLD, BOT, "/health", "http://localhost/", "::1");
  const value = fc.oneof(text, fc.jsonValue(), fc.record({ value: fc.oneof(text, fc.jsonValue()) }));
  const names = fc.constantFrom(
    "sentry.release",
    "release",
    "user_agent.original",
    "sentry.browser.name",
    "sentry.browser.version",
    "sentry.segment.name",
    "url.full",
    "client.address",
    "a",
  );
  const map = fc.oneof(fc.dictionary(names, value), fc.jsonValue());
  const part = fc.oneof(
    fc.record({ body: text, name: text, attributes: map, data: map }, { requiredKeys: [] }),
    fc.jsonValue(),
  );
  const type = fc.constantFrom("log", "span", "trace_metric");
  fc.assert(fc.property(type, fc.array(part, { minLength: 1, maxLength: 6 }), (type, parts) => {
    const { verdict } = verdictOf(settings, [container(type, parts)]);
    const [left] = verdict.kept;
    const category = ({ log: "log_item", span: "span", trace_metric: "trace_metric" } as const)[type]!;
    const dropped = verdict.dropped.filter((quantity) => quantity.category === category)
      .reduce((sum, { quantity }) => sum + quantity, 0);
    assertEquals(dropped + (left?.headers.item_count ?? 0), parts.length);
    if (!left?.rest) return;
    const expected = { version: 2, items: left.rest.elements.map((index) => parts[index]) };
    assertEquals(fromUtf8(left.rest.payload), JSON.stringify(expected));
  }));
});

for (const capture of ["browser-v11.logs", "node-v11.span-stream", "browser-v11.metrics"]) {
  Deno.test(`filtered items: what SDKs send, ${capture}`, async () => {
    const bytes = await Deno.readFile(new URL(`../../golden/${capture}.body`, import.meta.url));
    const envelope = parseEnvelope(bytes);
    const policed = { key: "k", eventId: null, remoteAddr: "203.0.113.7", userAgent: null };
    const left = (releases: string[]): number => {
      const filters = new InboundFilters(filterSettingsDocument.parse({ releases: { releases } }), null);
      return filterItems({ ...policed, envelope, items: envelope.items }, filters).kept.length;
    };
    assertEquals([left(["corpus-*"]), left(["other-*"])], [0, envelope.items.length]);
  });
}
