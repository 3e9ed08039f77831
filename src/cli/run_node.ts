import { systemClock } from "../core/clock.ts";
import { ConfigError } from "../config/config_error.ts";
import { processSources } from "../config/config_sources.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import type { Hangups } from "./hangups.ts";
import { spawnWorkerHalf } from "../lane/half_host.ts";
import { Node } from "../node.ts";
import { diskStorage } from "../spool/disk_storage.ts";
import { logger } from "../telemetry/log.ts";
import { ServiceManager } from "./service_manager.ts";

const log = logger("node");

/**
 * Runs a node until a signal ends it; resolves with the exit code.
 *
 * The first SIGTERM or SIGINT drains, the second one ends the process at once; SIGHUP loads the configuration again.
 */
export async function runNode(
  loaded: LoadedConfig,
  options: { readonly hangups: Hangups; onReady?: () => void },
): Promise<number> {
  const stop = Promise.withResolvers<void>();
  let signals = 0;
  const onSignal = (): void => {
    if (++signals > 1) Deno.exit(1);
    stop.resolve();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, onSignal);
  const sources = processSources();
  const manager = new ServiceManager(sources.env, systemClock, Deno.pid);
  try {
    const node = await Node.start(loaded, {
      clock: systemClock,
      storage: diskStorage,
      spawn: spawnWorkerHalf,
      sources,
    });
    options.hangups.handle(() => void node.reload("signal").catch(() => {}));
    options.onReady?.();
    manager.ready();
    await stop.promise;
    manager.stopping();
    await node.drain();
    return 0;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    log.error("the node cannot start: {error}", { error });
    return 1;
  } finally {
    manager.close();
    for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.removeSignalListener(signal, onSignal);
  }
}
