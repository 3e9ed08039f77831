/** A page of a node in a headless Chromium, driven by Node (`sdk/clients/status_page.mjs`). */
import { installSdkClients } from "./sdk_clients.ts";

/** An open page. `await using` closes the browser. */
export class PageBrowser {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = linesOf(child.stdout);
    this.#writer = child.stdin.getWriter();
  }

  /** Opens a page. */
  static async open(url: string, chromium: string): Promise<PageBrowser> {
    const { folder } = await installSdkClients();
    const env = { CHROMIUM: chromium, PAGE: url };
    const options = { cwd: folder, env, stdin: "piped", stdout: "piped", stderr: "null" } as const;
    const browser = new PageBrowser(
      new Deno.Command("node", { args: ["status_page.mjs"], ...options }).spawn(),
    );
    await browser.#answer();
    return browser;
  }

  /** Waits until the page shows a text; resolves with how long that took, ms. */
  async see(text: string, within = 10_000): Promise<number> {
    return (await this.#ask({ see: text, within })).ms as number;
  }

  /** Takes a picture; resolves with the width the page needs. */
  async shot(path: string, scheme: "light" | "dark", width: number, height = 900): Promise<number> {
    return (await this.#ask({ shot: path, scheme, width, height })).wide as number;
  }

  /** Sends the sign-in form; resolves with what scripts see of cookies. */
  async signIn(token: string): Promise<{ readonly title: string; readonly cookie: string }> {
    return await this.#ask({ signIn: token }) as unknown as { title: string; cookie: string };
  }

  /** Text of an element. */
  async text(selector: string): Promise<string> {
    return (await this.#ask({ text: selector })).text as string;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#child.status;
    await this.#lines.return?.();
  }

  async #ask(what: object): Promise<Record<string, unknown>> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(what)}\n`));
    return await this.#answer();
  }

  async #answer(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("The browser ended");
    const answer = JSON.parse(value);
    if (answer.failed) throw new Error(`${answer.failed}\n${answer.text}\n${answer.errors}`);
    if (answer.errors.some((error: string) => !error.includes("401"))) throw new Error(String(answer.errors));
    return answer;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (
    const text of stream.pipeThrough(
      new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>,
    )
  ) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
