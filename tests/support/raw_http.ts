/**
 * HTTP over a bare socket, for requests no proper client would send and answers no proper client would show.
 */

/** An answer as it stood on the wire. */
export interface RawResponse {
  readonly status: number;
  /** Names in lower case; lines of the same name joined with ", ". */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** One connection. */
export class RawHttp implements Disposable {
  readonly #connection: Deno.TcpConn;
  #buffered = "";
  #ended = false;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async connect(port: number): Promise<RawHttp> {
    return new RawHttp(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Sends bytes as they are; text must be Latin-1. */
  async send(data: string | Uint8Array): Promise<void> {
    let bytes = typeof data === "string" ? Uint8Array.from(data, (char) => char.charCodeAt(0)) : data;
    while (bytes.length > 0) bytes = bytes.subarray(await this.#connection.write(bytes));
  }

  /** The next answer, interim ones included; null when the connection ended before one was complete. */
  async response(options: { isHead?: boolean } = {}): Promise<RawResponse | null> {
    const end = await this.#until("\r\n\r\n");
    if (end < 0) return null;
    const [statusLine = "", ...lines] = this.#take(end).split("\r\n");
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
    }
    this.#take(4);
    const status = Number(statusLine.split(" ")[1]);
    const hasBody = !options.isHead && status >= 200 && status !== 204 && status !== 304;
    const body = hasBody ? await this.#body(headers) : "";
    return body === null ? null : { status, headers, body };
  }

  /** Ends this side of the connection. */
  async closeWrite(): Promise<void> {
    await this.#connection.closeWrite();
  }

  /** Resolves true when the other side ends the connection, false if it sends something first. */
  async closed(): Promise<boolean> {
    return this.#buffered === "" && !(await this.#more());
  }

  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // Closed already.
    }
  }

  async #body(headers: ReadonlyMap<string, string>): Promise<string | null> {
    if (headers.get("transfer-encoding") === "chunked") return await this.#chunked();
    const length = headers.get("content-length");
    if (length === undefined) {
      while (await this.#more());
      return this.#take(this.#buffered.length);
    }
    while (this.#buffered.length < Number(length)) if (!(await this.#more())) return null;
    return this.#take(Number(length));
  }

  async #chunked(): Promise<string | null> {
    for (let body = "";;) {
      const end = await this.#until("\r\n");
      if (end < 0) return null;
      const size = parseInt(this.#take(end), 16);
      while (this.#buffered.length < size + 4) if (!(await this.#more())) return null;
      body += this.#take(size + 4).slice(2, -2);
      if (size === 0) return body;
    }
  }

  async #until(mark: string): Promise<number> {
    for (;;) {
      const at = this.#buffered.indexOf(mark);
      if (at >= 0 || !(await this.#more())) return at;
    }
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const chunk = new Uint8Array(16 * 1024);
    const read = await this.#connection.read(chunk).catch(() => null);
    if (read === null) this.#ended = true;
    else this.#buffered += decoder.decode(chunk.subarray(0, read));
    return read !== null;
  }

  #take(length: number): string {
    const taken = this.#buffered.slice(0, length);
    this.#buffered = this.#buffered.slice(length);
    return taken;
  }
}

/** One request on a connection of its own. */
export async function rawRequest(port: number, data: string | Uint8Array): Promise<RawResponse | null> {
  using connection = await RawHttp.connect(port);
  await connection.send(data).catch(() => {});
  return await connection.response({ isHead: typeof data === "string" && data.startsWith("HEAD ") });
}

/** A request's head and body; Host and Content-Length are added unless given. */
export function requestBytes(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array = "",
): Uint8Array {
  const payload = typeof body === "string" ? encoder.encode(body) : body;
  const all: Record<string, string> = {
    host: "localhost",
    "content-length": String(payload.length),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = encoder.encode(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}
