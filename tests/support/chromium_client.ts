/**
 * The browser SDK where it belongs: in a headless Chromium, driven by Node (`sdk/clients/chromium.mjs`).
 *
 * Chromium is no package of npm's; it is taken from the machine, or its tests are skipped.
 */
import { exists } from "./test_cache.ts";
import { TEST_CERTIFICATE, TEST_KEY } from "./test_certificate.ts";

const CANDIDATES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Path of the machine's Chromium: `CHROMIUM`, or where packages put it; null where there is none. */
export async function findChromium(): Promise<string | null> {
  const named = Deno.env.get("CHROMIUM");
  for (const path of named ? [named] : CANDIDATES) if (await exists(path)) return path;
  return null;
}

/** A running browser. `await using` ends it. */
export class ChromiumClient {
  #output = "";
  readonly #reading: Promise<void>;
  readonly #errors: Promise<string>;
  #more = Promise.withResolvers<void>();

  private constructor(readonly child: Deno.ChildProcess) {
    this.#reading = this.#read(child.stdout);
    this.#errors = new Response(child.stderr).text();
  }

  /**
   * Starts the browser on its pages.
   *
   * @param folder of the installed clients
   * @param o.tunnel URL of a tunnel for the `tunnel` option of the SDK
   */
  static start(folder: string, o: { chromium: string; dsn: string; tunnel: string }): ChromiumClient {
    const env = {
      SENTRY_DSN: o.dsn,
      SENTRY_TUNNEL: o.tunnel,
      CHROMIUM: o.chromium,
      TLS_KEY: TEST_KEY,
      TLS_CERTIFICATE: TEST_CERTIFICATE,
    };
    const options = { args: ["chromium.mjs"], cwd: folder, env };
    return new ChromiumClient(
      new Deno.Command("node", { ...options, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn(),
    );
  }

  /** Resolves when all pages were opened and the SDK has flushed; reports may still be on their way. */
  async done(): Promise<string> {
    for (;;) {
      const line = /^done with .*$/m.exec(this.#output)?.[0];
      if (line) return line;
      const next = await Promise.race([this.#more.promise.then(() => null), this.child.status]);
      if (next) throw new Error(`The browser ended with exit code ${next.code}: ${await this.#errors}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.stdin.close();
    await this.child.status;
    await Promise.all([this.#reading, this.#errors]);
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#output += decoder.decode(chunk, { stream: true });
      this.#more.resolve();
      this.#more = Promise.withResolvers();
    }
  }
}
