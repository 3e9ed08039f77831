/**
 * A node's own errors, reported to a Sentry as a Relay does (`sentry`, control reference, section 2).
 *
 * Every error of the node's log, of all its isolates, comes by here without secrets. What repeats is told once with a
 * number, so that a fault is one report and not a flood. A report goes straight to its receiver: never through the spool or
 * the listener, which may be what is broken. One that fails is counted and not tried again, and told in one warning; since only
 * errors are reported, that makes no report.
 *
 * Limits: {@link KINDS_MAX} kinds of errors remembered, {@link PER_MINUTE_MAX} reports a minute, {@link QUEUE_MAX} waiting,
 * one under way for {@link TIMEOUT_MS} at most, {@link FLUSH_MS} for all that is left at the end.
 */
import type { Config } from "../config/config.ts";
import { selfReportTarget } from "../config/self_report_target.ts";
import { utf8 } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import { VERSION } from "../core/version.ts";
import type { Dsn } from "../protocol/dsn.ts";
import { newEventId } from "../protocol/event_id.ts";
import { PROTOCOL_VERSION } from "../protocol/request_auth.ts";
import { xSentryAuth } from "../protocol/request_meta.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { LogEntry } from "../telemetry/log_entry.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { RepeatFilter } from "../telemetry/repeat_filter.ts";

const log = logger("logs");

const KINDS_MAX = 100;
const PER_MINUTE_MAX = 30;
const QUEUE_MAX = 20;
const TIMEOUT_MS = 5000;
const FLUSH_MS = 1000;
const MINUTE_MS = 60_000;
/** Longest pause a receiver can ask for. */
const PAUSE_MS_MAX = 3_600_000;
const CLIENT = `landfall/${VERSION}`;

type DropReason = "rate_limited" | "queue_full" | "refused" | "unreachable" | "shutdown";

/** Options of {@link SelfReport}. */
export interface SelfReportOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly fetch?: typeof fetch;
}

/** Reports errors of the log. */
export class SelfReport {
  readonly #o: SelfReportOptions;
  readonly #closing = new AbortController();
  readonly #repeats = new RepeatFilter((entry) => this.#take(entry), { burst: 1, kindsMax: KINDS_MAX });
  #sentry: Config["sentry"];
  #dsn: Dsn | null;
  #queue: LogEntry[] = [];
  #sending: Promise<void> | null = null;
  #minute = { startedMs: -Infinity, taken: 0 };
  #pausedUntilMs = -Infinity;
  #hasFailed = false;

  constructor(options: SelfReportOptions) {
    this.#o = options;
    this.#sentry = options.config.sentry;
    this.#dsn = targetOf(options.config);
  }

  /** Puts changed keys in force. */
  configure(config: Config): void {
    this.#sentry = config.sentry;
    this.#dsn = targetOf(config);
  }

  /** Reports an entry if it is an error. */
  note(entry: LogEntry): void {
    if (this.#dsn === null || entry.level !== "error" && entry.level !== "fatal") return;
    this.#repeats.push(`${entry.room} ${entry.message}`, this.#o.clock.now(), () => entry);
  }

  /** Tells how often errors of minutes that are over came again. To be called several times a second. */
  tick(): void {
    this.#repeats.flush(this.#o.clock.now());
  }

  /** Sends what is left, for a short time. */
  async close(): Promise<void> {
    this.#repeats.flush(this.#o.clock.now(), true);
    const timer = this.#o.clock.after(FLUSH_MS, () => this.#closing.abort());
    while (this.#sending !== null) await this.#sending;
    timer.cancel();
  }

  #take(entry: LogEntry): void {
    if (this.#dsn === null) return;
    if (!this.#isInTime()) return this.#drop("rate_limited");
    if (this.#queue.length >= QUEUE_MAX) return this.#drop("queue_full");
    this.#queue.push(entry);
    this.#sending ??= this.#sendAll();
  }

  /** Whether bounds in time, the node's own and the receiver's, allow one more. */
  #isInTime(): boolean {
    const nowMs = this.#o.clock.monotonic();
    if (nowMs < this.#pausedUntilMs) return false;
    if (nowMs - this.#minute.startedMs >= MINUTE_MS) this.#minute = { startedMs: nowMs, taken: 0 };
    return this.#minute.taken++ < PER_MINUTE_MAX;
  }

  async #sendAll(): Promise<void> {
    // Never within the call that logs.
    await Promise.resolve();
    for (let entry = this.#queue.shift(); entry; entry = this.#queue.shift()) {
      if (this.#dsn === null || this.#closing.signal.aborted) this.#drop("shutdown");
      else await this.#send(entry, this.#dsn);
    }
    // In the same turn in which the queue was seen empty.
    this.#sending = null;
  }

  async #send(entry: LogEntry, dsn: Dsn): Promise<void> {
    const abort = new AbortController();
    const stop = (): void => abort.abort(new Error("no answer in time"));
    const timer = this.#o.clock.after(TIMEOUT_MS, stop);
    this.#closing.signal.addEventListener("abort", stop, { once: true });
    try {
      const response = await (this.#o.fetch ?? fetch)(envelopeUrl(dsn), {
        method: "POST",
        redirect: "manual",
        headers: {
          "content-type": "application/x-sentry-envelope",
          "x-sentry-auth": xSentryAuth({ key: dsn.key, version: PROTOCOL_VERSION, client: CLIENT }),
          "user-agent": CLIENT,
        },
        body: reportEnvelope(entry, this.#sentry, this.#o.clock.now()),
        signal: abort.signal,
      });
      await response.body?.cancel();
      this.#answered(response);
    } catch (error) {
      this.#failed("unreachable", error instanceof Error ? error.message : String(error));
    } finally {
      timer.cancel();
      this.#closing.signal.removeEventListener("abort", stop);
    }
  }

  #answered({ status, headers }: Response): void {
    if (status < 300) {
      this.#hasFailed = false;
      return this.#o.metrics.add(METRICS.selfReports, 1, "sent");
    }
    if (status === 429) {
      const seconds = Number(headers.get("retry-after") ?? NaN);
      const pauseMs = seconds >= 0 ? Math.min(seconds * 1000, PAUSE_MS_MAX) : MINUTE_MS;
      this.#pausedUntilMs = this.#o.clock.monotonic() + pauseMs;
    }
    this.#failed("refused", `answered ${status}`);
  }

  /** Told once until a report arrives again. */
  #failed(result: DropReason, reason: string): void {
    this.#drop(result);
    if (!this.#hasFailed) log.warn("errors of this node cannot be reported: {reason}", { reason });
    this.#hasFailed = true;
  }

  #drop(reason: DropReason): void {
    this.#o.metrics.add(METRICS.selfReports, 1, reason);
  }
}

function targetOf(config: Config): Dsn | null {
  const target = selfReportTarget(config);
  return target.kind === "on" ? target.dsn : null;
}

function envelopeUrl({ scheme, host, port, projectId }: Dsn): string {
  return `${scheme}://${host}${port === null ? "" : `:${port}`}/api/${projectId}/envelope/`;
}

/** An envelope with one event. The template is what a Sentry groups by, so that repeats and numbers make no new issue. */
function reportEnvelope(entry: LogEntry, sentry: Config["sentry"], nowMs: number): string {
  const { timeMs, level, room, message, template, fields, stack } = entry;
  const eventId = newEventId();
  const event = JSON.stringify({
    event_id: eventId,
    timestamp: timeMs / 1000,
    platform: "other",
    level,
    logger: `landfall.${room}`,
    message: { message: template, formatted: message },
    release: `landfall@${VERSION}`,
    ...sentry.environment !== null && { environment: sentry.environment },
    ...sentry.serverName !== null && { server_name: sentry.serverName },
    tags: { room, ...sentry.defaultTags },
    extra: { ...fields, ...stack !== undefined && { stack } },
  });
  const header = {
    event_id: eventId,
    sent_at: new Date(nowMs).toISOString(),
    sdk: { name: "landfall", version: VERSION },
  };
  const item = { type: "event", content_type: "application/json", length: utf8(event).length };
  return [header, item].map((line) => JSON.stringify(line)).join("\n") + `\n${event}\n`;
}
