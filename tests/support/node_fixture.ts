/** A whole node inside the test's own process, whose halves can be made to die. */
import { type Clock, systemClock } from "../../src/core/clock.ts";
import { processSources } from "../../src/config/config_sources.ts";
import type { Setting } from "../../src/config/environment.ts";
import { loadConfig } from "../../src/config/load_config.ts";
import { forwardHalf } from "../../src/lane/forward_half.ts";
import {
  type HalfListener,
  type HalfSpawner,
  spawnInProcess,
  spawnWorkerHalf,
} from "../../src/lane/half_host.ts";
import { ingestHalf } from "../../src/lane/ingest_half.ts";
import type { HalfKind } from "../../src/lane/messages.ts";
import { Node } from "../../src/node.ts";
import type { DnsResolver } from "../../src/upstream/dns_resolver.ts";
import { diskStorage } from "../../src/spool/disk_storage.ts";
import type { Storage } from "../../src/spool/storage.ts";

/** What a test can do to a node. */
export interface NodeFixture extends AsyncDisposable {
  readonly node: Node;
  readonly url: string;
  readonly folder: string;
  /** The half that was started last dies at once, whatever it is doing, as a worker with an uncaught error does. */
  die(kind: HalfKind): void;
}

/** Options of {@link startNode}. */
export interface NodeFixtureOptions {
  readonly upstream: string;
  /** Dotted key to value. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Files of the configuration folder, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Halves run in workers, as a node's do, instead of this isolate. */
  readonly inWorkers?: boolean;
  /** Clock of the control plane, and of halves in this isolate. */
  readonly clock?: Clock;
  /** Disk of the control plane, and of halves in this isolate. */
  readonly storage?: Storage;
  /** Answers questions for names of endpoints. */
  readonly resolver?: DnsResolver;
}

/** Starts a node in a folder of its own, which goes with it. */
export async function startNode(
  {
    upstream,
    config = {},
    files = {},
    inWorkers = false,
    clock = systemClock,
    storage = diskStorage,
    resolver,
  }: NodeFixtureOptions,
): Promise<NodeFixture> {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(`${folder}/${path.slice(0, path.lastIndexOf("/") + 1)}`, { recursive: true });
    await Deno.writeTextFile(`${folder}/${path}`, text);
  }
  await Deno.writeTextFile(`${folder}/config.yml`, "{}");
  const values = {
    "relay.mode": "proxy",
    "relay.upstream": upstream,
    "relay.host": "127.0.0.1",
    "relay.port": 0,
    "admin.port": 0,
    "listener.exposure": "load_balancer",
    "lanes": 1,
    ...config,
  };
  const settings = Object.entries(values).map(([key, value]): Setting => ({
    key,
    value,
    origin: { kind: "flag", name: "test" },
  }));
  const deps = { clock, storage };
  const inProcess = spawnInProcess({
    ingest: (port) => ingestHalf(port, deps),
    forward: (port) => forwardHalf(port, deps),
  });
  const listeners = new Map<HalfKind, HalfListener>();
  const spawn: HalfSpawner = (kind, listener) => {
    listeners.set(kind, listener);
    return (inWorkers ? spawnWorkerHalf : inProcess)(kind, listener);
  };
  const loaded = loadConfig({ dir: folder, settings });
  const node = await Node.start(loaded, {
    ...deps,
    spawn,
    sources: processSources(),
    ...resolver && { resolver },
  });
  return {
    node,
    url: `http://127.0.0.1:${node.port}`,
    folder,
    die: (kind) => listeners.get(kind)!.onDeath("killed by a test"),
    async [Symbol.asyncDispose]() {
      await node.drain();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
