import { assert, assertEquals } from "@std/assert";
import { loadConfig } from "../../../src/config/load_config.ts";
import { SelfReport } from "../../../src/control/self_report.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { configureLogging, forgetRepeats, logger } from "../../../src/telemetry/log.ts";
import type { EntryLevel, LogEntry } from "../../../src/telemetry/log_entry.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { fakeSources } from "../../support/fake_sources.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { splitEnvelope } from "../../support/split_envelope.ts";

configureLogging({ level: "off", format: "json" });

const KEY = "0123456789abcdef0123456789abcdef";
const SENTRY = `enabled: true, dsn: "https://${KEY}@sentry.invalid:9000/42"`;

function configOf(sentry = SENTRY, rest = "") {
  const files = { "/etc/l/config.yml": `relay: { mode: proxy }\nsentry: { ${sentry} }\n${rest}` };
  return loadConfig({ dir: "/etc/l", sources: fakeSources({ files }) });
}

interface Event {
  readonly event_id: string;
  readonly message: { readonly message: string; readonly formatted: string };
  readonly extra: Record<string, unknown>;
  readonly [name: string]: unknown;
}

/** A Sentry that answers as told and remembers what it took. */
class Receiver {
  answer = (): Response | Promise<Response> => new Response("{}");
  readonly calls: { url: string; headers: Headers; body: string }[] = [];
  readonly fetch: typeof fetch = async (url, init) => {
    this.calls.push({ url: String(url), headers: new Headers(init!.headers), body: init!.body as string });
    const late = Promise.withResolvers<never>();
    init!.signal!.addEventListener("abort", () => late.reject(init!.signal!.reason));
    return await Promise.race([this.answer(), late.promise]);
  };

  get events(): Event[] {
    const encoder = new TextEncoder();
    return this.calls.map(({ body }) =>
      JSON.parse(new TextDecoder().decode(splitEnvelope(encoder.encode(body)).items[0]!.payload))
    );
  }
}

function fixture(sentry?: string) {
  const clock = new ManualClock();
  const metrics = new Metrics(METRIC_LAYOUT);
  const receiver = new Receiver();
  const { config } = configOf(sentry);
  const report = new SelfReport({ config, clock, metrics, fetch: receiver.fetch });
  const entry = (message: string, level: EntryLevel = "error"): LogEntry => ({
    timeMs: clock.now(),
    level,
    room: "spool",
    message,
    template: "it failed: …",
    fields: { lane: 1 },
  });
  const count = (result: string): number => metrics.read(METRICS.selfReports, result);
  const note = (message: string, level?: EntryLevel): void => report.note(entry(message, level));
  return { clock, receiver, report, note, count };
}

Deno.test("SelfReport: an error becomes an event; what is less severe does not", async () => {
  const { clock, receiver, note, count } = fixture(
    `${SENTRY}, environment: prod, server_name: pop1, default_tags: { site: fra }`,
  );
  note("just a warning", "warn");
  note("it failed: größer", "fatal");
  await clock.advance(0);
  assertEquals(receiver.calls.length, 1);
  const { url, headers } = receiver.calls[0]!;
  assertEquals(url, "https://sentry.invalid:9000/api/42/envelope/");
  assertEquals(
    headers.get("x-sentry-auth"),
    `Sentry sentry_key=${KEY}, sentry_version=7, sentry_client=landfall/0.1.0`,
  );
  const { event_id, ...event } = receiver.events[0]!;
  assert(/^[0-9a-f]{32}$/.test(event_id));
  assertEquals(event, {
    timestamp: clock.now() / 1000,
    platform: "other",
    level: "fatal",
    logger: "landfall.spool",
    message: { message: "it failed: …", formatted: "it failed: größer" },
    release: "landfall@0.1.0",
    environment: "prod",
    server_name: "pop1",
    tags: { room: "spool", site: "fra" },
    extra: { lane: 1 },
  });
  assertEquals(count("sent"), 1);
});

Deno.test("SelfReport: what repeats within a minute is told once, and then how often", async () => {
  const { clock, receiver, report, note } = fixture();
  for (let i = 0; i < 50; i++) {
    note("a");
    await clock.advance(1000);
  }
  note("b");
  await clock.advance(9_999);
  report.tick();
  await clock.advance(0);
  assertEquals(receiver.events.map(({ message }) => message.formatted), ["a", "b"]);
  await clock.advance(1);
  report.tick();
  await clock.advance(0);
  assertEquals(receiver.events.map(({ extra }) => extra.repeated), [undefined, undefined, 49]);
});

Deno.test("SelfReport: thirty a minute at most, and what is beyond is counted", async () => {
  const { clock, receiver, note, count } = fixture();
  for (let i = 0; i < 100; i++) {
    note(`error ${i}`);
    await clock.advance(10);
  }
  assertEquals([receiver.calls.length, count("sent"), count("rate_limited")], [30, 30, 70]);
  await clock.advance(60_000);
  note("the next minute");
  await clock.advance(0);
  assertEquals(count("sent"), 31);
});

Deno.test("SelfReport: a receiver that hangs holds up to twenty reports, one under way, and the end for a second", async () => {
  const { clock, receiver, report, note, count } = fixture();
  receiver.answer = () => new Promise(() => {});
  note("under way");
  await clock.advance(0);
  for (let i = 0; i < 25; i++) note(`error ${i}`);
  assertEquals([receiver.calls.length, count("queue_full")], [1, 5]);
  await clock.advance(5000);
  assertEquals([receiver.calls.length, count("unreachable")], [2, 1]);
  let isClosed = false;
  const closed = report.close().then(() => isClosed = true);
  await clock.advance(999);
  assertEquals(isClosed, false);
  await clock.advance(1);
  await closed;
  assertEquals([receiver.calls.length, count("unreachable"), count("shutdown")], [2, 2, 19]);
  assertEquals(clock.pending, 0);
});

Deno.test("SelfReport: the end sends what is left", async () => {
  const { clock, receiver, report, note } = fixture();
  for (let i = 0; i < 3; i++) note("a");
  note("b");
  await report.close();
  assertEquals(receiver.events.map(({ extra }) => extra.repeated), [undefined, undefined, 2]);
  assertEquals(clock.pending, 0);
});

Deno.test("SelfReport: reports that fail are counted, told in one warning per outage, and never reported", async () => {
  const { clock, receiver, report, note, count } = fixture();
  const seen: LogEntry[] = [];
  forgetRepeats();
  configureLogging({ level: "debug", format: "json" }, (entry) => (seen.push(entry), report.note(entry)));
  receiver.answer = () => Promise.reject(new TypeError("refused"));
  for (let i = 0; i < 3; i++) note(`a ${i}`);
  await clock.advance(1000);
  receiver.answer = () => new Response("{}", { status: 403 });
  note("b");
  await clock.advance(1000);
  assertEquals([count("unreachable"), count("refused"), receiver.calls.length], [3, 1, 4]);
  assertEquals(seen.map(({ level }) => level), ["warn"]);
  receiver.answer = () => new Response("{}");
  note("c");
  await clock.advance(1000);
  receiver.answer = () => new Response("{}", { status: 500 });
  note("d");
  await clock.advance(1000);
  assertEquals(seen.length, 2);
  configureLogging({ level: "off", format: "json" });
});

Deno.test("SelfReport: a receiver that asks for a pause gets it", async () => {
  const { clock, receiver, note, count } = fixture();
  receiver.answer = () => new Response("{}", { status: 429, headers: { "retry-after": "90" } });
  note("a");
  await clock.advance(89_999);
  note("b");
  await clock.advance(0);
  assertEquals([receiver.calls.length, count("refused"), count("rate_limited")], [1, 1, 1]);
  receiver.answer = () => new Response("{}");
  await clock.advance(1);
  note("c");
  await clock.advance(0);
  assertEquals(count("sent"), 1);
});

Deno.test("SelfReport: no secret of the log leaves in a report", async () => {
  const { clock, receiver, report } = fixture();
  forgetRepeats();
  configureLogging({ level: "error", format: "json", secrets: ["geheim!"] }, (entry) => report.note(entry));
  const error = new Error("geheim! at https://user:pass@host/");
  logger("spool").error("it failed: {error}", { error, token: "abc", nested: { password: "def" } });
  configureLogging({ level: "off", format: "json" });
  await clock.advance(0);
  const { body } = receiver.calls[0]!;
  for (const secret of ["geheim", "pass@", '"abc"', "def"]) assert(!body.includes(secret), secret);
  assert(body.includes("[redacted] at https://[redacted]@host/"));
  assert(receiver.events[0]!.extra.stack);
});

Deno.test("SelfReport: changed keys count at once; switched off nothing is sent", async () => {
  const { clock, receiver, report, note } = fixture("enabled: false");
  note("a");
  await clock.advance(0);
  assertEquals(receiver.calls.length, 0);
  report.configure(configOf().config);
  note("b");
  await clock.advance(0);
  report.configure(configOf("enabled: false").config);
  note("c");
  await clock.advance(0);
  assertEquals(receiver.events.map(({ message }) => message.formatted), ["b"]);
});
