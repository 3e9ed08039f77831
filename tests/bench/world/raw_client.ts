/** A client without an SDK: one HTTP request over TLS at a time, with every millisecond counted. */
import { TEST_ROOT } from "../../support/test_certificate.ts";
import { type LoadTarget, requestBytes } from "../support/load_connection.ts";

const BODY_BYTES = 1200;
const ANSWERED_WITHIN_MS = 10_000;

/** One event that a client sent. */
export interface Sent {
  /** Event id that was acknowledged with 200; null: it was not. */
  readonly id: string | null;
  /** From the first packet, the connection's if one had to be opened, to the end of the answer. */
  readonly ms: number;
  /** Whether a connection had to be opened. */
  readonly isNew: boolean;
}

/** Sends events of about 1.2 KB to a project. */
export class RawClient {
  readonly #target: LoadTarget;
  #conn: Deno.TlsConn | null = null;

  constructor(port: number, projectId: number) {
    this.#target = { hostname: "127.0.0.1", port, path: `/api/${projectId}/envelope/` };
  }

  /** Sends an event, over the connection that is open if there is one. */
  async send(): Promise<Sent> {
    const request = requestBytes(this.#target, BODY_BYTES);
    const startedMs = performance.now();
    const isNew = this.#conn === null;
    let id: string | null = null;
    const late = setTimeout(() => this.close(), ANSWERED_WITHIN_MS);
    try {
      const conn = this.#conn ??= await connect(this.#target.port);
      for (let at = 0; at < request.length;) at += await conn.write(request.subarray(at));
      id = await readId(conn);
    } catch {
      this.close();
    }
    clearTimeout(late);
    return { id, ms: performance.now() - startedMs, isNew };
  }

  /** Ends the connection. */
  close(): void {
    try {
      this.#conn?.close();
    } catch {
      // Closed before.
    }
    this.#conn = null;
  }
}

async function connect(port: number): Promise<Deno.TlsConn> {
  const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
  tcp.setNoDelay(true);
  const tls = await Deno.startTls(tcp, {
    hostname: "localhost",
    caCerts: [TEST_ROOT],
    alpnProtocols: ["http/1.1"],
  });
  try {
    await tls.handshake();
    return tls;
  } catch (error) {
    tls.close();
    throw error;
  }
}

/** Reads an answer to its end. @returns the event id of a 200 @throws Error when the server closes before */
async function readId(conn: Deno.TlsConn): Promise<string | null> {
  const buffer = new Uint8Array(16 * 1024);
  const decoder = new TextDecoder();
  for (let answer = "";;) {
    const read = await conn.read(buffer);
    if (read === null) throw new Error("No answer");
    answer += decoder.decode(buffer.subarray(0, read), { stream: true });
    const bodyAt = answer.indexOf("\r\n\r\n") + 4;
    if (bodyAt < 4) continue;
    const length = Number(/content-length: (\d+)/i.exec(answer)?.[1] ?? NaN);
    if (Number.isNaN(length)) throw new Error(`An answer without Content-Length: ${answer}`);
    if (answer.length < bodyAt + length) continue;
    return answer.startsWith("HTTP/1.1 200 ") ? JSON.parse(answer.slice(bodyAt)).id : null;
  }
}
