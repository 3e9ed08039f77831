import type { Subject } from "../condition_field.ts";

/** What filters look at: one event, replay or session, or with no event a request whose items are not read. */
export interface FilterSubject extends Subject {
  /**
   * `event`: also transactions, security reports and replays. Sessions and items that are not read (logs, spans) are
   * held against address, release and user agent alone.
   */
  readonly kind: "event" | "session" | "request";
  /** Address of the client as the listener found it out. */
  readonly clientAddress: string;
  /** Of the request that carried it. */
  readonly userAgent: string | null;
}

/** One inbound filter of a project. */
export interface InboundFilter {
  /** Reason of the outcome. */
  readonly reason: string;
  /** Whether it has to read events; if not, the request is enough. */
  readonly needsEvent: boolean;
  /** Whether it holds for sessions and for items that are not read, too. */
  readonly isGeneral: boolean;
  matches(subject: FilterSubject): boolean;
}
