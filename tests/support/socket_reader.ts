import { concatBytes } from "../../src/core/bytes.ts";

const decoder = new TextDecoder("latin1");

/** Head of a request as a test server reads it. */
export interface RequestHead {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** -1 for a body in chunks. */
  readonly contentLength: number;
}

/** Reads plain requests off a socket; for servers that tests script themselves. */
export class SocketReader {
  #buffer: Uint8Array = new Uint8Array(0);

  constructor(readonly conn: Deno.Conn) {}

  /**
   * The next request's head; null when the peer has ended.
   *
   * @throws {SyntaxError} when it is malformed or does not say how long its body is
   */
  async head(): Promise<RequestHead | null> {
    for (;;) {
      const text = decoder.decode(this.#buffer);
      const end = text.indexOf("\r\n\r\n");
      if (end >= 0) {
        this.#buffer = this.#buffer.subarray(end + 4);
        return parse(text.slice(0, end));
      }
      if (!await this.#more()) {
        if (this.#buffer.length > 0) throw new SyntaxError(`Half a head: ${JSON.stringify(text)}`);
        return null;
      }
    }
  }

  /** The next bytes, exactly so many; throws when the peer ends before. */
  async body(bytes: number): Promise<Uint8Array> {
    const body = new Uint8Array(bytes);
    for (let at = 0; at < bytes;) {
      if (this.#buffer.length === 0 && !await this.#more()) throw new Error("The peer ended inside a body");
      const piece = this.#buffer.subarray(0, bytes - at);
      body.set(piece, at);
      at += piece.length;
      this.#buffer = this.#buffer.subarray(piece.length);
    }
    return body;
  }

  /** The body that a head announced. */
  async bodyOf({ contentLength }: RequestHead): Promise<Uint8Array> {
    if (contentLength >= 0) return await this.body(contentLength);
    const chunks: Uint8Array[] = [];
    for (;;) {
      const size = await this.#line();
      if (!/^[0-9a-f]{1,8}$/.test(size)) throw new SyntaxError(`Chunk size ${JSON.stringify(size)}`);
      const chunk = await this.body(Number.parseInt(size, 16));
      if (await this.#line() !== "") throw new SyntaxError("A chunk does not end where it should");
      if (chunk.length === 0) return concatBytes(chunks);
      chunks.push(chunk);
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf(10);
      if (end > 0) {
        const line = decoder.decode(this.#buffer.subarray(0, end - 1));
        this.#buffer = this.#buffer.subarray(end + 1);
        return line;
      }
      if (!await this.#more()) throw new Error("The peer ended inside a body");
    }
  }

  async #more(): Promise<boolean> {
    const chunk = new Uint8Array(16 * 1024);
    const bytes = await this.conn.read(chunk);
    if (bytes === null) return false;
    const joined = new Uint8Array(this.#buffer.length + bytes);
    joined.set(this.#buffer);
    joined.set(chunk.subarray(0, bytes), this.#buffer.length);
    this.#buffer = joined;
    return true;
  }
}

function parse(text: string): RequestHead {
  const [first = "", ...lines] = text.split("\r\n");
  const [, method, path] = /^([A-Z]+) (\/[!-~]*) HTTP\/1\.1$/.exec(first) ?? [];
  if (!method || !path) throw new SyntaxError(`Request line ${JSON.stringify(first)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?(.*)$/.exec(line) ?? [];
    if (!name || value === undefined) throw new SyntaxError(`Header line ${JSON.stringify(line)}`);
    if (headers.has(name.toLowerCase())) throw new SyntaxError(`Header ${name} occurs twice`);
    headers.set(name.toLowerCase(), value);
  }
  const length = headers.get("content-length");
  const isChunked = headers.get("transfer-encoding") === "chunked";
  if (isChunked && length !== undefined) throw new SyntaxError("Content-Length of a body in chunks");
  if (isChunked) return { method, path, headers, contentLength: -1 };
  if (method === "POST" && !/^\d+$/.test(length ?? "")) throw new SyntaxError("No Content-Length");
  return { method, path, headers, contentLength: Number(length ?? 0) };
}
