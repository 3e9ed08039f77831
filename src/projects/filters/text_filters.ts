/** Filters by lists of patterns: release, message, transaction, client address, origin of a CSP report. */
import { compileGlobs } from "../../core/glob.ts";
import { isOriginAllowed } from "../allowed_domains.ts";
import { networkSet } from "../condition.ts";
import { exceptionsOf, type JsonRecord, subjectField } from "../condition_field.ts";
import { EVENTS, EVERYTHING, type InboundFilter } from "./filter.ts";

const text = (value: unknown): string | null => typeof value === "string" && value !== "" ? value : null;

/** `clientIps`: addresses and networks; entries that are neither are ignored. */
export function clientIps(blocked: readonly string[]): InboundFilter {
  const networks = networkSet(blocked);
  return {
    reason: "ip-address",
    isReading: false,
    kinds: EVERYTHING,
    matches: ({ clientAddress }) => networks.has(clientAddress),
  };
}

/** `releases`: globs. */
export function releases(patterns: readonly string[]): InboundFilter {
  const glob = compileGlobs(patterns);
  return {
    reason: "release-version",
    isReading: true,
    kinds: new Set(["event", "session", "span", "log", "trace_metric"]),
    matches({ kind, event, part, trace }) {
      // The trace stands for an event that is too large to be read.
      const release = kind === "event" ? text(event ? event.release : trace?.release) : part?.release ?? null;
      return release !== null && glob(release);
    },
  };
}

/** `errorMessages`: globs on the message, and on each exception as `type: value`. */
export function errorMessages(patterns: readonly string[]): InboundFilter {
  const glob = compileGlobs(patterns);
  const formatted = subjectField("event.logentry.formatted");
  const message = subjectField("event.logentry.message");
  return {
    reason: "error-message",
    isReading: true,
    kinds: EVENTS,
    matches(subject) {
      if (!subject.event) return false;
      const logged = text(formatted(subject)) ?? text(message(subject));
      if (logged !== null && glob(logged)) return true;
      return exceptionsOf(subject.event)?.some((exception) => glob(exceptionText(exception))) ?? false;
    },
  };
}

/** Type and value of an exception, or whichever of them there is. */
function exceptionText(exception: unknown): string {
  const { type, value } = (exception ?? {}) as JsonRecord;
  return [text(type), text(value)].filter((part) => part !== null).join(": ");
}

/** `ignoreTransactions`: globs on the name of a transaction, and of the one a span belongs to. */
export function ignoreTransactions(patterns: readonly string[]): InboundFilter {
  const glob = compileGlobs(patterns);
  return {
    reason: "filtered-transaction",
    isReading: true,
    kinds: new Set(["event", "span"]),
    matches({ event, part }) {
      const isTransaction = event?.type === "transaction" || event?.start_timestamp !== undefined;
      const name = part ? part.transaction : isTransaction ? text(event?.transaction) : null;
      return name !== null && glob(name);
    },
  };
}

/** `csp`: origin patterns on what was blocked and where; both forms of a report, and an event made of one. */
export function csp(disallowed: readonly string[]): InboundFilter {
  return {
    reason: "invalid-csp",
    isReading: true,
    kinds: EVENTS,
    matches({ event }) {
      if (!event) return false;
      const report = (event["csp-report"] ?? event.csp ?? event.body ?? {}) as JsonRecord;
      const places = ["blocked-uri", "source-file", "blocked_uri", "source_file", "blockedURL", "sourceFile"];
      return places.some((name) => {
        const place = text(report[name]);
        return place !== null && isOriginAllowed(place, disallowed);
      });
    },
  };
}
