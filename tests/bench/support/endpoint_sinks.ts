/**
 * So many upstreams in one process, each on a port of its own, which can be made to fail. Arguments: number, `tls` or
 * `plain`. Prints the ports; answers each line it reads with the number of requests so far: `count`, `down N`, `up N`,
 * `slow N MS`, `fail N STATUS` (0 for none).
 */
import { TEST_CERTIFICATE, TEST_KEY } from "../../support/test_certificate.ts";
import { TextLineStream } from "./text_lines.ts";

const [count = "1", kind = "plain"] = Deno.args;
const tls = kind === "tls" ? { cert: TEST_CERTIFICATE, key: TEST_KEY } : {};
let requests = 0;

class Sink {
  delayMs = 0;
  status = 200;
  port = 0;
  #server: Deno.HttpServer<Deno.NetAddr> | null = null;
  #stop = new AbortController();

  up(): void {
    if (this.#server) return;
    this.#stop = new AbortController();
    const options = {
      hostname: "127.0.0.1",
      port: this.port,
      onListen() {},
      signal: this.#stop.signal,
      ...tls,
    };
    this.#server = Deno.serve(options, async (request) => {
      await request.bytes();
      const { status } = this;
      if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
      if (status === 200 && request.method === "POST") requests++;
      return new Response("{}", { status });
    });
    this.port = this.#server.addr.port;
  }

  async down(): Promise<void> {
    this.#stop.abort();
    await this.#server?.finished;
    this.#server = null;
  }
}

const sinks = Array.from({ length: Number(count) }, () => new Sink());
for (const sink of sinks) sink.up();
// deno-lint-ignore no-console
console.log(sinks.map(({ port }) => port).join(" "));
const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const line of lines) {
  const [command, index, value] = line.split(" ");
  const sink = sinks[Number(index)]!;
  if (command === "down") await sink.down();
  else if (command === "up") sink.up();
  else if (command === "slow") sink.delayMs = Number(value);
  else if (command === "fail") sink.status = Number(value) || 200;
  // deno-lint-ignore no-console
  console.log(requests);
}
