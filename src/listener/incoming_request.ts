/**
 * A request as both engines present it: just what the endpoints need, nothing computed that is not asked for.
 *
 * Why not `Request`: building one costs more than answering, and its body can only be read through a stream, which
 * costs more than twice as much as taking a small body whole.
 */

import { organizationOfHost } from "../protocol/ingest_host.ts";
import type { EnvelopeItem } from "../protocol/envelope.ts";
import type { Quantity } from "../protocol/item_type.ts";
import type { Passage } from "../guard/guard.ts";
import type { ClientAddress } from "./client_address.ts";

/** Label of the route that answered, for metrics. */
export type RouteName =
  | "envelope"
  | "store"
  | "security"
  | "nel"
  | "minidump"
  | "unreal"
  | "attachments"
  | "cron"
  | "otlp"
  | "vercel"
  | "upload"
  | "tunnel"
  | "forward"
  | "healthcheck"
  | "live"
  | "relay"
  | "preflight"
  | "other";

/** Names and values of an answer's headers, names in lower case. */
export type HeaderList = readonly [string, string][];

/** Body of an answer; `null` for none. A stream is read to its end or cancelled; one that fails cuts the connection. */
export type AnswerBody = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;

/** Characters of a path and its query; more are answered with 414, as nginx does with its default buffers. */
export const TARGET_CHARS_MAX = 8192;

/** One request on its way through the listener. */
export abstract class IncomingRequest {
  /** One of the usual methods, or `UNKNOWN`: routers look methods up in plain objects, which know `constructor` too. */
  readonly method: string;
  /** Path with every run of slashes folded to one (ingestion reference, section 1.1), still percent-encoded. */
  readonly path: string;
  /** Query string as received, without the question mark. */
  readonly query: string;
  /** Set by the route that takes the request. */
  route: RouteName = "other";
  /** Set once the request was handed inwards, where every item of it is accounted for. */
  isSubmitted = false;
  /** Whether its body ended before its time, most often because the client went away. */
  isCutOff = false;
  /** Whether its connection is to end with its answer. */
  isLast = false;
  /** Whether it came over TLS. */
  isSecure = false;
  /** Who sent it, once somebody asked `clientAddress`. */
  client: ClientAddress | null = null;
  /** What it has to give back to the guard; null when it did not pass one. */
  passage: Passage | null = null;
  /** What the access log tells of it: who sent, what it held, why it was refused, bytes of its body as received. */
  projectId = "";
  key = "";
  eventId: string | null = null;
  items: readonly EnvelopeItem[] | null = null;
  quantities: readonly Quantity[] | null = null;
  reason: string | null = null;
  bodyBytes = 0;
  /** Monotonic time at which the request's head had been read. */
  startedMs = 0;
  /** The same moment, wall clock. */
  receivedAtMs = 0;

  /** @param target request target: a path, or an absolute URL */
  constructor(method: string, target: string) {
    this.method = METHODS.has(method) ? method : "UNKNOWN";
    const start = target.charCodeAt(0) === SLASH ? 0 : pathStart(target);
    const mark = target.indexOf("?", start);
    const path = mark < 0 ? target.slice(start) : target.slice(start, mark);
    this.path = path.includes("//") ? path.replace(/\/{2,}/g, "/") : path || "/";
    this.query = mark < 0 ? "" : target.slice(mark + 1);
  }

  /** Id of the organisation whose subdomain the client called (`o1.ingest.example.com`), or null. */
  get organizationId(): string | null {
    return organizationOfHost(this.header("host") ?? "");
  }

  /** Value of a header, lines of the same name joined with ", "; `name` in lower case. */
  abstract header(name: string): string | null;

  /** All headers, names in lower case. */
  abstract headerList(): HeaderList;

  /** Aborts when the client goes away before its answer; on older runtimes also after a complete one. */
  abstract get signal(): AbortSignal;

  /** The same while nobody reads the body; null where an engine cannot tell that. */
  get unreadSignal(): AbortSignal | null {
    return null;
  }

  /** Address of the socket's other end. */
  abstract get peer(): string;

  /**
   * The whole body; for bodies whose announced length is acceptable.
   *
   * @throws {BodyError} when it could not be read to its end
   */
  abstract bytes(): Promise<Uint8Array>;

  /**
   * Hands over the body chunk by chunk until its end (resolves true), or until `take` returns false (resolves false;
   * what is left can be read by another call). True at once when the body was read before.
   *
   * @throws {BodyError} when it could not be read to its end
   */
  abstract chunks(take: (chunk: Uint8Array) => boolean): Promise<boolean>;

  /** Failure of a body that ended before its time. */
  protected cutOff(cause?: unknown): BodyError {
    this.isCutOff = true;
    return new BodyError("broken", cause);
  }

  /** Answers the request; called once. */
  abstract respond(status: number, headers: HeaderList, body: AnswerBody): Response;
}

/** The client went away in the middle of its body, sent it too slowly, or broke its framing. */
export class BodyError extends Error {
  override readonly name = "BodyError";

  constructor(readonly kind: "timeout" | "broken", cause?: unknown) {
    super(`request body ${kind}`, { cause });
  }
}

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;

function pathStart(target: string): number {
  const scheme = target.indexOf("://");
  if (scheme < 0) return 0;
  for (let at = scheme + 3; at < target.length; at++) {
    const code = target.charCodeAt(at);
    if (code === SLASH || code === QUESTION_MARK) return at;
  }
  return target.length;
}
