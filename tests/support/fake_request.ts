import {
  type AnswerBody,
  BodyError,
  type HeaderList,
  IncomingRequest,
} from "../../src/listener/incoming_request.ts";

/** A request without a socket. */
export class FakeRequest extends IncomingRequest {
  override peer = "192.0.2.1";
  /** The answer, once there is one. */
  answer: { status: number; headers: HeaderList; body: AnswerBody } | null = null;
  /** Chunks that were handed over. */
  chunksRead = 0;
  /** The client goes away. */
  readonly abort = new AbortController();
  readonly #headers: Readonly<Record<string, string>>;
  readonly #chunks: readonly (Uint8Array | "broken" | "timeout")[];

  /** @param chunks the body as it arrives; a word stands for a failure at that point */
  constructor(
    headers: Readonly<Record<string, string>> = {},
    chunks: readonly (Uint8Array | "broken" | "timeout")[] = [],
    target = "/",
  ) {
    super("POST", target);
    this.#headers = headers;
    this.#chunks = chunks;
  }

  override header(name: string): string | null {
    return this.#headers[name] ?? null;
  }

  override headerList(): HeaderList {
    return Object.entries(this.#headers);
  }

  override get signal(): AbortSignal {
    return this.abort.signal;
  }

  override async bytes(): Promise<Uint8Array> {
    const bytes: number[] = [];
    await this.chunks((chunk) => bytes.push(...chunk) > 0);
    return new Uint8Array(bytes);
  }

  override async chunks(take: (chunk: Uint8Array) => boolean): Promise<boolean> {
    while (this.chunksRead < this.#chunks.length) {
      const chunk = this.#chunks[this.chunksRead++]!;
      await Promise.resolve();
      if (typeof chunk === "string") throw new BodyError(chunk);
      if (!take(chunk)) return false;
    }
    return true;
  }

  override respond(status: number, headers: HeaderList, body: AnswerBody): Response {
    this.answer = { status, headers, body };
    return new Response(null);
  }
}
