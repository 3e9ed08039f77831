/** Children of the benches: programs of this folder, and whole nodes from source. */
import { Child, cpuSeconds, residentMiB } from "./contender.ts";

const here = new URL(".", import.meta.url);

/** Runs a program of `support/` with everything allowed. */
export function runScript(name: string, ...args: string[]): Child {
  return new Child(Deno.execPath(), ["run", "-A", "--no-check", new URL(name, here).pathname, ...args]);
}

/** What a {@link BenchNode} is started with. */
export interface BenchNodeOptions {
  readonly upstreamPort: number;
  readonly exposure: string;
  readonly lanes: string;
  readonly maxDiskSize?: string;
  /** Proxies that are trusted; the default ones when absent. */
  readonly trustedProxies?: readonly string[];
  /** Section of the configuration. */
  readonly guard?: object;
  /** Further sections of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Folder to start in, which may hold a spool; made and removed when absent. */
  readonly folder?: string;
}

/** A node under measurement. */
export class BenchNode {
  private constructor(readonly port: number, readonly folder: string, private readonly child: Child) {}

  /** Starts a node and waits until it is ready. */
  static async start(o: BenchNodeOptions): Promise<BenchNode> {
    const folder = o.folder ?? await Deno.makeTempDir({ prefix: "landfall-bench-" });
    const port = freePort();
    const config = {
      relay: { mode: "proxy", upstream: `http://127.0.0.1:${o.upstreamPort}/`, host: "127.0.0.1", port },
      listener: {
        exposure: o.exposure,
        ...o.trustedProxies === undefined ? {} : { trusted_proxies: o.trustedProxies },
      },
      guard: o.guard ?? {},
      lanes: o.lanes,
      admin: { port: freePort() },
      spool: { envelopes: { max_disk_size: o.maxDiskSize ?? "4GiB" } },
      logging: { level: "error" },
      ...o.config,
    };
    await Deno.writeTextFile(`${folder}/config.yml`, JSON.stringify(config));
    const main = new URL("../../../main.ts", here).pathname;
    const child = new Child(Deno.execPath(), [
      "run",
      "-A",
      "--no-check",
      "--unstable-net",
      main,
      "run",
      "-c",
      folder,
    ]);
    await answering(`http://127.0.0.1:${port}/api/relay/healthcheck/ready/`);
    return new BenchNode(port, folder, child);
  }

  cpuSeconds(): number {
    return cpuSeconds(this.child.pid);
  }

  residentMiB(): number {
    return residentMiB(this.child.pid);
  }

  /** Drains the node and removes its folder. */
  async stop(): Promise<void> {
    await this.child.stop();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Result of one load. */
export interface Load {
  readonly requests: number;
  readonly refused: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Where a node or another contender takes load. */
export interface Target {
  readonly port: number;
  readonly path: string;
}

/** Sends `requests` requests of `bytes` bytes from `clients` connections, each the next one when the last was answered. */
export function load(
  { port, path }: Target,
  o: { readonly clients: string; readonly requests: string; readonly bytes: string },
): Promise<Load> {
  return runLoad("load.ts", "127.0.0.1", String(port), path, o.clients, o.requests, o.bytes);
}

/** The same over connections of which `perLane` says how many lead to which lane of the node in `folder`. */
export function laneLoad(
  { port, path }: Target,
  o: {
    readonly folder: string;
    readonly requests: string;
    readonly bytes: string;
    readonly perLane: readonly string[];
  },
): Promise<Load> {
  return runLoad("lane_load.ts", String(port), path, o.folder, o.requests, o.bytes, ...o.perLane);
}

/** Sends `rate` requests a second for so many seconds, whatever the answers do; times count from when one was due. */
export function pacedLoad(
  { port, path }: Target,
  o: { readonly clients: string; readonly rate: number; readonly seconds: string; readonly bytes: string },
): Promise<Load> {
  const rate = String(Math.round(o.rate));
  return runLoad("paced_load.ts", "127.0.0.1", String(port), path, o.clients, rate, o.seconds, o.bytes);
}

async function runLoad(name: string, ...args: string[]): Promise<Load> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL(name, here).pathname, ...args],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${name} ${args.join(" ")} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** A port of the loopback nobody listens on. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** Lets other processes run. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until something answers with less than 500. */
export async function answering(url: string): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    const answer = await fetch(url).catch(() => null);
    await answer?.body?.cancel();
    if (answer && answer.status < 500) return;
    await pause(10);
  }
  throw new Error(`No answer from ${url}`);
}

/** The middle value. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

/** A row of a Markdown table. */
export function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
