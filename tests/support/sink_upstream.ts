/** An upstream that takes requests of any size and keeps only what is needed to recognise them. */
import { extendCrc32 } from "../../src/spool/crc32.ts";

/** A request that was received to its end. */
export interface SunkRequest {
  readonly bytes: number;
  readonly crc: number;
  readonly encoding: string;
}

/** Listens on a free port of the loopback; requests with a Content-Length are answered with 200 after their last byte. */
export class SinkUpstream {
  readonly received: SunkRequest[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #arrived = Promise.withResolvers<void>();

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#take(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Resolves once so many requests have arrived. */
  async count(requests: number): Promise<void> {
    while (this.received.length < requests) await this.#arrived.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #take(request: Request): Promise<Response> {
    let [bytes, crc] = [0, 0];
    for await (const chunk of request.body ?? []) {
      bytes += chunk.length;
      crc = extendCrc32(crc, chunk);
    }
    if (request.method === "POST") {
      this.received.push({ bytes, crc, encoding: request.headers.get("content-encoding") ?? "" });
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    }
    return Response.json({});
  }
}
