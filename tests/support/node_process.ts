/**
 * A whole node as a child process, in a folder of its own: from source with the permissions users get, or the executable.
 */
import { join } from "node:path";
import { type CommandOptions, spawnCommand } from "./node_command.ts";
import { pause } from "./until.ts";

/** Sections of config.yml; merged over what every test needs, section by section. */
export type TestConfig = Readonly<Record<string, unknown>>;

/** Options of {@link NodeProcess.start}. */
export interface NodeProcessOptions extends Pick<CommandOptions, "executable" | "env"> {
  /** Base URL of the upstream. */
  readonly upstream: string;
  readonly config?: TestConfig;
  /** More files of the configuration folder, by path. */
  readonly files?: Readonly<Record<string, string>>;
}

const READY_WITHIN_MS = 30_000;
const STDERR_CHARS_MAX = 1_000_000;

/** A running node and its folder. `await using` ends it and removes the folder. */
export class NodeProcess {
  #child: Deno.ChildProcess | null = null;
  #status: Promise<Deno.CommandStatus> | null = null;
  #reading: Promise<void> = Promise.resolve();
  /** Everything the node and its earlier lives wrote to standard error, or the last million characters. */
  stderr = "";

  private constructor(
    readonly folder: string,
    readonly port: number,
    readonly adminPort: number,
    private readonly how: CommandOptions,
  ) {}

  /** Writes the configuration, starts the node and waits until it is ready. */
  static async start(options: NodeProcessOptions): Promise<NodeProcess> {
    const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
    const [port, adminPort] = freePorts(2);
    const node = new NodeProcess(folder, port!, adminPort!, options);
    const config = merge(baseConfig(options.upstream, port!, adminPort!), options.config ?? {});
    try {
      await Deno.writeTextFile(join(folder, "config.yml"), JSON.stringify(config, null, 2));
      for (const [path, text] of Object.entries(options.files ?? {})) {
        await Deno.mkdir(join(folder, path, ".."), { recursive: true });
        await Deno.writeTextFile(join(folder, path), text);
      }
      await node.startAgain();
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
    return node;
  }

  /** Base URL of the ingestion listener. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** DSN of a project for clients of this node, or for something that stands before it. */
  dsn(projectId = 1, port: number = this.port): string {
    return `http://${TEST_KEY}@127.0.0.1:${port}/${projectId}`;
  }

  /** Of the running node. */
  get pid(): number {
    if (!this.#child) throw new Error("The node is not running");
    return this.#child.pid;
  }

  /** Starts the node in its folder, after it ended, and waits until it is ready. */
  async startAgain(): Promise<void> {
    this.launch();
    await this.#untilReady();
  }

  /** Starts the node in its folder, after it ended. */
  launch(): void {
    if (this.#child) throw new Error("The node is running");
    const child = spawnCommand(["run", "-c", this.folder], this.how);
    this.#child = child;
    this.#status = child.status;
    this.#reading = this.#readStderr(child.stderr);
  }

  /** Ends the node as a power failure would. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited();
  }

  /** Asks the node to drain. @returns its exit code. */
  async terminate(): Promise<number> {
    this.signal("SIGTERM");
    return await this.exited();
  }

  signal(name: Deno.Signal): void {
    this.#child?.kill(name);
  }

  /** Exit code, once the node has ended (128 + number for a signal). */
  async exited(): Promise<number> {
    const status = await this.#status;
    await this.#reading;
    this.#child = null;
    return status?.code ?? 0;
  }

  /** Answer of `healthcheck/ready/`: its status, or null when nothing answers. */
  async readiness(): Promise<number | null> {
    try {
      const answer = await fetch(`${this.url}/api/relay/healthcheck/ready/`);
      await answer.body?.cancel();
      return answer.status;
    } catch {
      return null;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child) await this.kill().catch(() => {});
    await Deno.remove(this.folder, { recursive: true });
  }

  async #untilReady(): Promise<void> {
    const deadline = performance.now() + READY_WITHIN_MS;
    let ended = false;
    this.#status?.then(() => ended = true);
    while (await this.readiness() !== 200) {
      if (ended) throw new Error(`The node ended with code ${await this.exited()}:\n${this.stderr}`);
      if (performance.now() > deadline) throw new Error(`The node did not become ready:\n${this.stderr}`);
      await pause(25);
    }
  }

  async #readStderr(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.stderr = (this.stderr + decoder.decode(chunk, { stream: true })).slice(-STDERR_CHARS_MAX);
    }
  }
}

/** Key in every DSN of these tests. */
export const TEST_KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";

/** Ports of the loopback nobody listens on. */
export function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map((listener) => (listener.addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return ports;
}

function baseConfig(upstream: string, port: number, adminPort: number): TestConfig {
  return {
    relay: { mode: "proxy", upstream, host: "127.0.0.1", port },
    admin: { port: adminPort },
    logging: { level: "info", format: "simplified" },
    lanes: 1,
  };
}

function merge(base: TestConfig, over: TestConfig): TestConfig {
  const merged: Record<string, unknown> = { ...base };
  for (const [section, values] of Object.entries(over)) {
    merged[section] = isSection(values) ? { ...merged[section] as object, ...values } : values;
  }
  return merged;
}

function isSection(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
