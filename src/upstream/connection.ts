/**
 * One connection to an upstream, for one request after the other.
 *
 * Why a read is always pending: it sees the peer leave while the connection idles, so that a dead one is closed at once
 * and not tried; it sees an answer that comes before the body is sent; and it is the read the answer needs anyway.
 *
 * A write that fails is therefore no end by itself: an upstream that refuses a body closes after its answer, and the
 * answer may still be on its way. Only when reading ends, too, the request has failed.
 *
 * Limits: heads and bodies by the parser; every wait by a deadline that the owner's {@link Connection.sweep} enforces, one
 * comparison per connection in place of a timer per request.
 */
import type { Clock } from "../core/clock.ts";
import { close, type Wire } from "./dial.ts";
import type { IdleLimit } from "./idle_limit.ts";
import { type ClientRequest, requestHead, writeLatin1 } from "./request_head.ts";
import type { ResponseHead } from "./response_head.ts";
import { ResponseParser } from "./response_parser.ts";
import { UpstreamError } from "./upstream_error.ts";

const READ_BYTES = 16 * 1024;
/** Head and body of at most this size go out in one write. */
const JOINED_BYTES_MAX = 64 * 1024;
/** Larger bodies are written in pieces, each with its own write timeout. */
const PIECE_BYTES = 256 * 1024;
/** How long an answer may take that was sent before the connection broke. */
const LATE_ANSWER_MS = 1000;
/** A connection is given up this much earlier than its upstream announced to. */
const IDLE_MARGIN_MS = 1000;
const NO_BYTES = new Uint8Array(0);

/** An answer. */
export interface ClientResponse {
  readonly status: number;
  /** All values of a header, given in lower case, joined with `", "`; null when it is absent. */
  header(name: string): string | null;
  /** At most `bodyBytesMax` bytes. */
  readonly body: Uint8Array;
}

/** Limits of a connection; times in milliseconds, sizes in bytes. */
export interface ConnectionLimits {
  /** For each piece of a body to be taken by the operating system. */
  readonly writeTimeoutMs: number;
  /** From the end of the request to the first byte of its answer. */
  readonly firstByteTimeoutMs: number;
  readonly headBytesMax: number;
  readonly bodyBytesMax: number;
}

/** What a connection tells its owner. */
export interface ConnectionOwner {
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  readonly idle: IdleLimit;
  /** Head part made by `constantHead`. */
  readonly constantHead: string;
  /** Ready for the next request. */
  onIdle(connection: Connection): void;
  onClosed(connection: Connection): void;
}

class Answer implements ClientResponse {
  constructor(readonly head: ResponseHead, readonly body: Uint8Array) {}

  get status(): number {
    return this.head.status;
  }

  header(name: string): string | null {
    return this.head.header(name);
  }
}

/** A connection; the owner hands it one request at a time. */
export class Connection {
  readonly #wire: Wire;
  readonly #owner: ConnectionOwner;
  readonly #parser: ResponseParser;
  #reply: PromiseWithResolvers<ClientResponse> | null = null;
  #closed = false;
  #answered = 0;
  #out: Uint8Array = NO_BYTES;
  #written = false;
  #writeError: UpstreamError | null = null;
  /** Monotonic moment at which the present wait has taken too long, and what it waits for. */
  #deadlineMs = Infinity;
  #waitsFor = "";
  /** Monotonic moment at which the request has taken too long. */
  #totalMs = Infinity;
  /** Monotonic moment since which it has nothing to do, and how long it had not when the last request came. */
  #idleSinceMs = -Infinity;
  #idledMs = Infinity;

  constructor(wire: Wire, owner: ConnectionOwner) {
    this.#wire = wire;
    this.#owner = owner;
    this.#parser = new ResponseParser(owner.limits);
    void this.#readAll();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Whether the last request failed only because the peer had already given up the connection. */
  isStale(error: unknown): boolean {
    return this.#answered > 0 && !this.#parser.started && error instanceof UpstreamError &&
      (error.kind === "reset" || error.kind === "write");
  }

  /** The last request met a connection the peer had given up: it was idle for too long. */
  wasStale(): void {
    this.#owner.idle.closedAfter(this.#idledMs, this.#owner.clock.monotonic());
  }

  /** Whether a request was answered on it before. */
  get isReused(): boolean {
    return this.#answered > 0;
  }

  /** Whether an idle connection may still be used. */
  isUsable(nowMs: number): boolean {
    return !this.#closed && nowMs < this.#deadlineMs;
  }

  /**
   * Sends a request and resolves with its answer; `totalMs` is the monotonic moment by which it must be complete.
   *
   * @throws {UpstreamError}
   */
  exchange(request: ClientRequest, totalMs: number): Promise<ClientResponse> {
    const reply = this.#reply = Promise.withResolvers<ClientResponse>();
    this.#parser.reset();
    this.#written = false;
    this.#totalMs = totalMs;
    this.#idledMs = this.#owner.clock.monotonic() - this.#idleSinceMs;
    if (this.#closed) this.fail(new UpstreamError("reset", "The upstream closed the connection"));
    else void this.#send(request);
    return reply.promise;
  }

  /** Ends what has taken too long. */
  sweep(nowMs: number): void {
    if (nowMs < this.#deadlineMs && nowMs < this.#totalMs) return;
    if (!this.#reply) return this.close();
    const what = nowMs < this.#totalMs
      ? this.#waitsFor
      : this.#parser.started
      ? "rest of the answer"
      : "answer";
    this.fail(this.#writeError ?? new UpstreamError("timeout", `Timed out waiting for the ${what}`));
  }

  /** Ends the connection and the request on it. */
  fail(error: UpstreamError): void {
    const reply = this.#reply;
    this.#reply = null;
    this.close();
    reply?.reject(error);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    close(this.#wire);
    this.#owner.onClosed(this);
    this.fail(new UpstreamError("aborted", "The connection was closed"));
  }

  async #send(request: ClientRequest): Promise<void> {
    const head = requestHead(request, this.#owner.constantHead);
    const body = request.body ?? NO_BYTES;
    const joined = body.length <= JOINED_BYTES_MAX;
    const bytes = head.length + (joined ? body.length : 0);
    if (this.#out.length < bytes) {
      this.#out = new Uint8Array(Math.max(4096, 2 ** Math.ceil(Math.log2(bytes))));
    }
    writeLatin1(head, this.#out);
    if (joined) this.#out.set(body, head.length);
    try {
      await this.#write(this.#out.subarray(0, bytes));
      for (let at = 0; !joined && at < body.length && this.#reply; at += PIECE_BYTES) {
        await this.#write(body.subarray(at, at + PIECE_BYTES));
      }
      this.#written = true;
      if (this.#reply) this.#wait(this.#owner.limits.firstByteTimeoutMs, "answer");
    } catch (error) {
      this.#writeError = new UpstreamError("write", `The request could not be written: ${message(error)}`);
      this.#wait(LATE_ANSWER_MS, "answer");
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      this.#wait(this.#owner.limits.writeTimeoutMs, "upstream to take the request");
      at += await this.#wire.write(at === 0 ? bytes : bytes.subarray(at));
    }
  }

  #wait(ms: number, what: string): void {
    this.#deadlineMs = ms === Infinity ? Infinity : this.#owner.clock.monotonic() + ms;
    this.#waitsFor = what;
  }

  async #readAll(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      while (!this.#closed) {
        const bytes = await this.#wire.read(buffer);
        if (this.#closed) return;
        if (bytes === null) return this.#ended("The upstream closed the connection");
        this.#received(buffer.subarray(0, bytes));
      }
    } catch (error) {
      if (error instanceof UpstreamError) this.fail(this.#withHead(error));
      else this.#ended(message(error));
    }
  }

  #received(bytes: Uint8Array): void {
    // Nobody asked: most likely a notice that the upstream gives the connection up.
    if (!this.#reply) return this.close();
    const taken = this.#parser.feed(bytes);
    if (this.#parser.done) this.#complete(taken === bytes.length);
    else if (this.#written && !this.#writeError) this.#deadlineMs = Infinity;
  }

  #ended(reason: string): void {
    if (!this.#reply) {
      const nowMs = this.#owner.clock.monotonic();
      this.#owner.idle.closedAfter(nowMs - this.#idleSinceMs, nowMs);
      return this.close();
    }
    this.#parser.end();
    if (this.#parser.done) this.#complete(false);
    else this.fail(this.#writeError ?? new UpstreamError("reset", reason));
  }

  #complete(mayGoOn: boolean): void {
    const reply = this.#reply!;
    this.#reply = null;
    this.#totalMs = Infinity;
    this.#answered++;
    const head = this.#parser.head!;
    const idleMs = this.#idleMs(head);
    if (mayGoOn && this.#written && this.#parser.keepAlive && idleMs > 0) {
      this.#idleSinceMs = this.#owner.clock.monotonic();
      this.#wait(idleMs, "request");
      this.#owner.onIdle(this);
    } else {
      this.close();
    }
    reply.resolve(new Answer(head, this.#parser.body()));
  }

  #idleMs(head: ResponseHead): number {
    const announced = /(?:^|[\s,])timeout=(\d{1,9})/i.exec(head.header("keep-alive") ?? "");
    const idleTimeoutMs = this.#owner.idle.ms(this.#owner.clock.monotonic());
    return announced ? Math.min(idleTimeoutMs, Number(announced[1]) * 1000 - IDLE_MARGIN_MS) : idleTimeoutMs;
  }

  /** A status counts even if the body that came with it is too large to keep. */
  #withHead(error: UpstreamError): UpstreamError {
    const head = this.#parser.head;
    if (error.kind !== "too_large" || !head) return error;
    return new UpstreamError(error.kind, error.message, new Answer(head, NO_BYTES));
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
