/**
 * A TCP pipe that remembers what went through it: what a real client put on the wire, and what it was answered.
 */
import { gunzipSync } from "node:zlib";

/** One request as a client sent it. */
export interface RecordedRequest {
  readonly method: string;
  readonly target: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Without transfer coding and content coding. */
  readonly body: Uint8Array;
}

interface Recording {
  readonly sent: Uint8Array[];
  readonly answered: Uint8Array[];
}

const text = new TextDecoder("latin1");

/** Records everything between its clients and one server on the loopback. */
export class RecordingProxy {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #recordings: Recording[] = [];
  readonly #open = new Set<Deno.TcpConn>();
  readonly #pipes = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  constructor(private readonly targetPort: number) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#accepting = this.#accept();
  }

  /** All complete requests so far, in the order of their connections. */
  requests(): RecordedRequest[] {
    return this.#recordings.flatMap(({ sent }) => parseRequests(concat(sent)));
  }

  /** Status codes of all answers so far. */
  statuses(): number[] {
    return this.#recordings.flatMap(({ answered }) =>
      [...text.decode(concat(answered)).matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map((match) => Number(match[1]))
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) closeQuietly(conn);
    await this.#accepting;
    await Promise.all(this.#pipes);
  }

  async #accept(): Promise<void> {
    for (;;) {
      const client = await this.#listener.accept().catch(() => null);
      if (!client) return;
      const pipe = this.#join(client).finally(() => this.#pipes.delete(pipe));
      this.#pipes.add(pipe);
    }
  }

  async #join(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.targetPort }).catch(() => null);
    if (!server) return closeQuietly(client);
    const recording: Recording = { sent: [], answered: [] };
    this.#recordings.push(recording);
    this.#open.add(client).add(server);
    await Promise.all([copy(client, server, recording.sent), copy(server, client, recording.answered)]);
    for (const conn of [client, server]) {
      closeQuietly(conn);
      this.#open.delete(conn);
    }
  }
}

async function copy(from: Deno.TcpConn, to: Deno.TcpConn, record: Uint8Array[]): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  try {
    for (;;) {
      const read = await from.read(buffer);
      if (read === null) break;
      const chunk = buffer.slice(0, read);
      record.push(chunk);
      for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await to.write(rest));
    }
    await to.closeWrite();
  } catch {
    closeQuietly(from);
    closeQuietly(to);
  }
}

function closeQuietly(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // Closed before.
  }
}

function parseRequests(bytes: Uint8Array): RecordedRequest[] {
  const requests: RecordedRequest[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = text.decode(bytes.subarray(at)).indexOf("\r\n\r\n");
    if (end < 0) break;
    const [first, ...lines] = text.decode(bytes.subarray(at, at + end)).split("\r\n");
    const [method, target] = first!.split(" ");
    const headers = new Map(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }));
    const start = at + end + 4;
    const framed = headers.get("transfer-encoding") === "chunked"
      ? readChunked(bytes, start)
      : readCounted(bytes, start, Number(headers.get("content-length") ?? 0));
    if (!framed) break;
    const body = headers.get("content-encoding") === "gzip" ? gunzipSync(framed.body) : framed.body;
    requests.push({ method: method!, target: target!, headers, body: new Uint8Array(body) });
    at = framed.end;
  }
  return requests;
}

interface Framed {
  readonly body: Uint8Array;
  readonly end: number;
}

function readCounted(bytes: Uint8Array, start: number, length: number): Framed | null {
  const end = start + length;
  return end <= bytes.length ? { body: bytes.subarray(start, end), end } : null;
}

function readChunked(bytes: Uint8Array, start: number): Framed | null {
  const chunks: Uint8Array[] = [];
  for (let at = start;;) {
    const line = text.decode(bytes.subarray(at, at + 20)).indexOf("\r\n");
    if (line < 0) return null;
    const size = parseInt(text.decode(bytes.subarray(at, at + line)), 16);
    const data = at + line + 2;
    if (data + size + 2 > bytes.length) return null;
    if (size === 0) return { body: concat(chunks), end: data + 2 };
    chunks.push(bytes.subarray(data, data + size));
    at = data + size + 2;
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
