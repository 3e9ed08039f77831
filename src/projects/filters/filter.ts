import type { Subject } from "../condition_field.ts";
import type { FilteredPart } from "./filtered_part.ts";

/**
 * What filters look at. `event`: also transactions, security reports and replays. `request`: bodies that nobody here
 * reads. The others are named after the items they come in.
 */
export type FilteredKind = "event" | "session" | "span" | "log" | "trace_metric" | "request";

/** What filters are asked about: one event, or one part of an item. */
export interface FilterSubject extends Subject {
  readonly kind: FilteredKind;
  /** Session, span, log or metric, read; `null` when it was not, and for events. */
  readonly part: FilteredPart | null;
  /** Address of the client as the listener found it out. */
  readonly clientAddress: string;
  /** Of the request that carried it. */
  readonly userAgent: string | null;
}

/** One inbound filter of a project. */
export interface InboundFilter {
  /** Reason of the outcome. */
  readonly reason: string;
  /** Whether it has to read what it is about; if not, the request is enough. */
  readonly isReading: boolean;
  /** What it holds for. */
  readonly kinds: ReadonlySet<FilteredKind>;
  matches(subject: FilterSubject): boolean;
}

/** Kinds of filters that hold for events alone. */
export const EVENTS: ReadonlySet<FilteredKind> = new Set(["event"]);

/** Kinds of filters that hold for everything. */
export const EVERYTHING: ReadonlySet<FilteredKind> = new Set([
  "event",
  "session",
  "span",
  "log",
  "trace_metric",
  "request",
]);
