/** An upstream on a raw socket whose every byte a test decides; for what is passed on rather than kept. */
import { TEST_CERTIFICATE, TEST_KEY } from "./test_certificate.ts";

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

/** A request as it comes in on a connection of its own. */
export class RawCall {
  method = "";
  path = "";
  /** Lines of the head after the first, as sent. */
  lines: string[] = [];
  #buffer: Uint8Array = new Uint8Array(0);

  constructor(readonly conn: Deno.Conn) {}

  /** Values of a header, one for each line. */
  header(name: string): string[] {
    return this.lines.filter((line) => line.toLowerCase().startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim());
  }

  /** Reads the head; false when the peer ends before. */
  async readHead(): Promise<boolean> {
    for (;;) {
      const text = latin1.decode(this.#buffer);
      const end = text.indexOf("\r\n\r\n");
      if (end >= 0) {
        const [first = "", ...lines] = text.slice(0, end).split("\r\n");
        [this.method = "", this.path = ""] = first.split(" ");
        this.lines = lines;
        this.#buffer = this.#buffer.slice(end + 4);
        return true;
      }
      if (!await this.more()) return false;
    }
  }

  /** The body, in pieces as they come. Throws when the peer ends inside it. */
  async *body(): AsyncGenerator<Uint8Array> {
    const length = this.header("content-length")[0];
    if (this.header("transfer-encoding")[0] !== "chunked") return yield* this.#exactly(Number(length ?? 0));
    for (;;) {
      const size = parseInt(await this.#line(), 16);
      yield* this.#exactly(size);
      await this.#line();
      if (size === 0) return;
    }
  }

  /** The whole body. */
  async text(): Promise<string> {
    let text = "";
    for await (const piece of this.body()) text += latin1.decode(piece);
    return text;
  }

  /** Sends bytes; text is UTF-8. */
  async write(data: string | Uint8Array): Promise<void> {
    let bytes = typeof data === "string" ? encoder.encode(data) : data;
    while (bytes.length > 0) bytes = bytes.subarray(await this.conn.write(bytes));
  }

  /** An answer with a length. */
  async answer(
    status: number,
    headers: Readonly<Record<string, string>>,
    body: string | Uint8Array = "",
  ): Promise<void> {
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    const lines = Object.entries({ "Content-Length": String(bytes.length), ...headers })
      .map(([name, value]) => `${name}: ${value}\r\n`).join("");
    await this.write(`HTTP/1.1 ${status} Raw\r\n${lines}\r\n`);
    await this.write(bytes);
  }

  /** Resolves when the peer has gone. */
  async gone(): Promise<void> {
    while (await this.more().catch(() => false));
  }

  /** Reads on; false at the end. */
  async more(): Promise<boolean> {
    const chunk = new Uint8Array(64 * 1024);
    const bytes = await this.conn.read(chunk);
    if (bytes === null) return false;
    const joined = new Uint8Array(this.#buffer.length + bytes);
    joined.set(this.#buffer);
    joined.set(chunk.subarray(0, bytes), this.#buffer.length);
    this.#buffer = joined;
    return true;
  }

  async *#exactly(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0;) {
      if (this.#buffer.length === 0 && !await this.more()) throw new Error("The peer ended inside a body");
      const piece = this.#buffer.subarray(0, left);
      this.#buffer = this.#buffer.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf(10);
      if (end >= 0) {
        const line = latin1.decode(this.#buffer.subarray(0, end - 1));
        this.#buffer = this.#buffer.subarray(end + 1);
        return line;
      }
      if (!await this.more()) throw new Error("The peer ended inside a chunk");
    }
  }
}

/** What a test does with a call; the connection is closed when it is done. */
export type RawBehaviour = (call: RawCall) => Promise<void>;

export class RawUpstream implements AsyncDisposable {
  readonly calls: RawCall[] = [];
  readonly port: number;
  behave: RawBehaviour;
  readonly #listener: Deno.Listener;
  readonly #serving = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  constructor(behave: RawBehaviour, readonly isTls = false) {
    this.behave = behave;
    const address = { hostname: "127.0.0.1", port: 0 };
    this.#listener = isTls
      ? Deno.listenTls({ ...address, cert: TEST_CERTIFICATE, key: TEST_KEY })
      : Deno.listen(address);
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    this.#accepting = this.#accept();
  }

  get url(): string {
    return this.isTls ? `https://localhost:${this.port}/` : `http://127.0.0.1:${this.port}/`;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#serving.size;
  }

  /** Stops listening, and waits for what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    await Promise.all(this.#serving);
  }

  async #accept(): Promise<void> {
    try {
      for await (const conn of this.#listener) {
        const serving = this.#serve(conn).finally(() => this.#serving.delete(serving));
        this.#serving.add(serving);
      }
    } catch {
      // Stopped listening.
    }
  }

  async #serve(conn: Deno.Conn): Promise<void> {
    const call = new RawCall(conn);
    try {
      if (!await call.readHead()) return;
      this.calls.push(call);
      await this.behave(call);
    } catch {
      // The node went away, which tests look at from its side.
    } finally {
      try {
        conn.close();
      } catch {
        // Closed by the test.
      }
    }
  }
}
