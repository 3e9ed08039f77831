/**
 * An upstream on a raw socket that does what a test tells it to, call by call, and remembers what it was sent.
 *
 * It refuses to be surprised: a call a node should never make (unknown path, no authentication, bad framing, a body that
 * is no envelope) is noted in `violations`, and {@link ScriptedUpstream.close} fails when there are any.
 */
import { systemClock } from "../../src/core/clock.ts";
import { decodeContent } from "./decode_content.ts";
import { type RequestHead, SocketReader } from "./socket_reader.ts";
import { type SplitEnvelope, splitEnvelope } from "./split_envelope.ts";
import { TEST_CERTIFICATE, TEST_KEY } from "./test_certificate.ts";

/** How to treat a call. By default it is answered like Sentry does: 200 and the event id. */
export interface Behaviour {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Waits before the answer. */
  readonly delayMs?: number;
  /** Sends the body in chunks instead of with a Content-Length. */
  readonly chunked?: boolean;
  /** Answers after the head, without waiting for the body, and closes. */
  readonly early?: boolean;
  /** Sends these bytes in place of an answer and closes. */
  readonly garbage?: string;
  /** Sends this much of the answer's body and closes. */
  readonly partialBody?: number;
  /** Reads this much of the request's body and closes with the rest unread, which makes the system reset it. */
  readonly resetAfterBytes?: number;
  /** Never answers. */
  readonly blackHole?: boolean;
  /** Closes after the answer without having announced it. */
  readonly closeAfterAnswer?: boolean;
  /** Ends its side after the answer and keeps the other one open. */
  readonly halfClose?: boolean;
}

/** A call as it was received. */
export interface UpstreamCall {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** As sent. */
  readonly rawBody: Uint8Array;
  /** Decoded. */
  readonly body: Uint8Array;
  /** Header of the envelope; empty for calls that carry none. */
  readonly envelope: SplitEnvelope["header"];
  readonly items: SplitEnvelope["items"];
  /** 32 hex digits, or null. */
  readonly eventId: string | null;
  /** Number of the connection, from 1. */
  readonly connection: number;
  /** Wall clock, ms. */
  readonly atMs: number;
}

const ENVELOPE_PATH = /^\/api\/[1-9]\d*\/envelope\/$/;
const PROBE_PATH = "/api/0/relays/live/";
const encoder = new TextEncoder();

/** Upstream for tests; listens from {@link ScriptedUpstream.start} on. */
export class ScriptedUpstream {
  /** Envelopes received in full, in order, however they were answered. */
  readonly requests: UpstreamCall[] = [];
  /** Requests to the further routes this upstream was told of, in order. */
  readonly others: UpstreamCall[] = [];
  /** Calls that only ask whether somebody is there. */
  readonly probes: UpstreamCall[] = [];
  readonly violations: string[] = [];
  readonly port: number;
  #listener: Deno.Listener | null;
  #accepting: Promise<void>;
  #connections = 0;
  readonly #open = new Set<Deno.Conn>();
  readonly #serving = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #behaviour: Behaviour = {};
  readonly #script: Behaviour[] = [];
  readonly #accepted = new Set<string>();
  #arrived = Promise.withResolvers<void>();

  private constructor(
    readonly isTls: boolean,
    port: number,
    readonly routes: RegExp | null,
    private readonly respond: ((call: UpstreamCall) => Behaviour) | null,
    private readonly inspect: (call: UpstreamCall) => readonly string[],
  ) {
    this.#listener = listen(isTls, port);
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    this.#accepting = this.#accept(this.#listener);
  }

  /**
   * Listens on a free port of the loopback interface, or on `port`.
   *
   * @param options.routes paths beside that of envelopes which a test expects to be called
   * @param options.respond how to treat calls of those paths; without it they are treated like envelopes
   * @param options.inspect what is wrong with an envelope's call beside what is wrong for any upstream
   */
  static start(
    options: {
      tls?: boolean;
      port?: number;
      routes?: RegExp;
      respond?: (call: UpstreamCall) => Behaviour;
      inspect?: (call: UpstreamCall) => readonly string[];
    } = {},
  ): ScriptedUpstream {
    const { tls = false, port = 0, routes = null, respond = null, inspect = () => [] } = options;
    return new ScriptedUpstream(tls, port, routes, respond, inspect);
  }

  get url(): string {
    return this.isTls ? `https://localhost:${this.port}` : `http://127.0.0.1:${this.port}`;
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  /** Connections open now. */
  get openConnections(): number {
    return this.#open.size;
  }

  /** Treats all calls like this that no script covers, probes included. */
  behave(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
  }

  /** Treats the next envelopes like this, one behaviour each. */
  script(...behaviours: Behaviour[]): void {
    this.#script.push(...behaviours);
  }

  /** Requests by event id. */
  byEventId(): Map<string, UpstreamCall[]> {
    const events = this.requests.filter((request) => request.eventId !== null);
    return Map.groupBy(events, (request) => request.eventId!);
  }

  /** Whether a request with this event id was answered with success. */
  accepted(eventId: string): boolean {
    return this.#accepted.has(eventId);
  }

  /** Resolves once `condition` holds, which is looked at after each arrival; rejects after `timeoutMs`. */
  async until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = systemClock.after(timeoutMs, () => {
      const seen = `${this.requests.length} envelopes, ${this.probes.length} probes`;
      late.reject(new Error(`The upstream waited ${timeoutMs} ms in vain: ${condition} (${seen})`));
    });
    try {
      while (!condition()) await Promise.race([this.#arrived.promise, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  /** Refuses connections and drops those that are open, until {@link ScriptedUpstream.up}. */
  async down(): Promise<void> {
    this.#listener?.close();
    this.#listener = null;
    this.dropConnections();
    await this.#accepting;
  }

  /** Listens again, on the same port. */
  up(): void {
    this.#listener = listen(this.isTls, this.port);
    this.#accepting = this.#accept(this.#listener);
  }

  /** Closes all connections, as a restarted upstream does. */
  dropConnections(): void {
    for (const conn of this.#open) closeQuietly(conn);
  }

  /** Ends everything; rejects when there were violations. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.down();
    while (this.#serving.size > 0) await Promise.all(this.#serving);
    if (this.violations.length > 0) throw new Error(`Unexpected calls:\n${this.violations.join("\n")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#serving.delete(tracked));
    this.#serving.add(tracked);
  }

  async #accept(listener: Deno.Listener): Promise<void> {
    for (;;) {
      try {
        const conn = await listener.accept();
        // It went down just then, and has closed its connections already.
        if (listener !== this.#listener) return closeQuietly(conn);
        this.#open.add(conn);
        this.#track(this.#serve(conn, ++this.#connections));
      } catch (error) {
        if (listener !== this.#listener) return;
        // A failed TLS handshake ends that connection alone.
        if (error instanceof Deno.errors.BadResource) return;
      }
    }
  }

  async #serve(conn: Deno.Conn, connection: number): Promise<void> {
    const reader = new SocketReader(conn);
    try {
      for (let goesOn = true; goesOn;) {
        const head = await reader.head();
        goesOn = head !== null && await this.#call(conn, reader, head, connection);
      }
    } catch (error) {
      if (error instanceof SyntaxError) this.violations.push(`Bad framing: ${error.message}`);
    } finally {
      closeQuietly(conn);
      this.#open.delete(conn);
      this.#notify();
    }
  }

  /** One request and its answer; false when the connection is to be closed. */
  async #call(
    conn: Deno.Conn,
    reader: SocketReader,
    head: RequestHead,
    connection: number,
  ): Promise<boolean> {
    const isProbe = head.method === "GET" && head.path === PROBE_PATH;
    const isOther = !isProbe && (this.routes?.test(head.path) ?? false);
    const isAnswered = isOther && this.respond !== null;
    const behaviour = isAnswered ? {} : (isProbe ? undefined : this.#script.shift()) ?? this.#behaviour;
    if (behaviour.resetAfterBytes !== undefined) {
      const announced = head.contentLength < 0 ? Infinity : head.contentLength;
      await reader.body(Math.min(behaviour.resetAfterBytes, announced));
      return false;
    }
    if (behaviour.early) {
      await this.#answer(conn, behaviour, null);
      return false;
    }
    const call = receivedCall(head, await reader.bodyOf(head), connection, isOther);
    this.violations.push(...violationsOf(call, isProbe || isOther));
    if (!isProbe && !isOther) this.violations.push(...this.inspect(call));
    (isProbe ? this.probes : isOther ? this.others : this.requests).push(call);
    this.#notify();
    return await this.#answer(conn, isAnswered ? this.respond!(call) : behaviour, call);
  }

  async #answer(conn: Deno.Conn, behaviour: Behaviour, call: UpstreamCall | null): Promise<boolean> {
    const { signal } = this.#closing;
    if (behaviour.delayMs) await systemClock.sleep(behaviour.delayMs, signal);
    if (behaviour.blackHole) {
      await conn.read(new Uint8Array(1));
      return false;
    }
    if (behaviour.garbage !== undefined) {
      await writeAll(conn, encoder.encode(behaviour.garbage));
      return false;
    }
    const { status = 200, partialBody } = behaviour;
    if (call?.eventId && status < 300 && partialBody === undefined) this.#accepted.add(call.eventId);
    await writeAll(conn, renderAnswer(behaviour, call));
    this.#notify();
    if (behaviour.halfClose) {
      await conn.closeWrite();
      await conn.read(new Uint8Array(1));
    }
    return !behaviour.halfClose && !behaviour.closeAfterAnswer && partialBody === undefined;
  }

  #notify(): void {
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }
}

function listen(isTls: boolean, port: number): Deno.Listener {
  const address = { hostname: "127.0.0.1", port };
  return isTls ? Deno.listenTls({ ...address, cert: TEST_CERTIFICATE, key: TEST_KEY }) : Deno.listen(address);
}

function receivedCall(
  head: RequestHead,
  rawBody: Uint8Array,
  connection: number,
  isOther: boolean,
): UpstreamCall {
  const body = decodeContent(rawBody, head.headers.get("content-encoding") ?? "");
  const { header, items } = isOther || body.length === 0 ? { header: {}, items: [] } : splitEnvelope(body);
  const eventId = typeof header.event_id === "string"
    ? header.event_id.replaceAll("-", "").toLowerCase()
    : null;
  const { method, path, headers } = head;
  return {
    method,
    path,
    headers,
    rawBody,
    body,
    envelope: header,
    items,
    eventId,
    connection,
    atMs: Date.now(),
  };
}

function violationsOf(
  { method, path, headers, rawBody, items }: UpstreamCall,
  isNoEnvelope: boolean,
): string[] {
  const found: string[] = [];
  const expect = (holds: boolean, what: string) => holds || found.push(`${method} ${path}: ${what}`);
  expect(headers.has("host"), "no Host");
  if (isNoEnvelope) return found;
  expect(method === "POST" && ENVELOPE_PATH.test(path), "unknown route");
  expect(/^Sentry sentry_key=[0-9a-f]{32}, /.test(headers.get("x-sentry-auth") ?? ""), "no X-Sentry-Auth");
  expect(headers.get("content-type") === "application/x-sentry-envelope", "wrong Content-Type");
  expect(rawBody.length > 0, "empty body");
  const isCutShort = ({ headers, payload }: typeof items[number]) =>
    typeof headers.length === "number" && headers.length !== payload.length;
  expect(!items.some(isCutShort), "an item is shorter than its length");
  return found;
}

function renderAnswer(behaviour: Behaviour, call: UpstreamCall | null): Uint8Array {
  const { status = 200, chunked = false, partialBody } = behaviour;
  const body = encoder.encode(
    behaviour.body ?? (status < 300 ? JSON.stringify({ id: call?.eventId }) : "{}"),
  );
  const headers: Record<string, string> = { "Content-Type": "application/json", ...behaviour.headers };
  if (chunked) headers["Transfer-Encoding"] = "chunked";
  else headers["Content-Length"] = String(body.length);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = encoder.encode(`HTTP/1.1 ${status} Scripted\r\n${lines}\r\n`);
  const sent = partialBody === undefined ? body : body.subarray(0, partialBody);
  const open = encoder.encode(chunked ? `${body.length.toString(16)}\r\n` : "");
  const shut = encoder.encode(chunked && partialBody === undefined ? "\r\n0\r\n\r\n" : "");
  return new Uint8Array([...head, ...open, ...sent, ...shut]);
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // Closed before.
  }
}
