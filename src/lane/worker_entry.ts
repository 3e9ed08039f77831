/// <reference lib="deno.worker" />
/** What both worker entries do: connect a half to its worker's messages. */
import { systemClock } from "../core/clock.ts";
import { diskStorage } from "../spool/disk_storage.ts";
import { configureLogging, flushRepeats, type LogOutput } from "../telemetry/log.ts";
import { logToRing } from "../telemetry/log_ring.ts";
import type { HalfPort, HalfProgram } from "./half_host.ts";
import type { HalfDeps } from "./half_policy.ts";
import type { ToHalf } from "./messages.ts";

/** How often it is told what repeated. */
const REPEATS_MS = 5000;

/** Runs a half in this worker until the worker is terminated. */
export function runInWorker(half: (port: HalfPort, deps: HalfDeps) => HalfProgram): void {
  const scope = self as unknown as DedicatedWorkerGlobalScope;
  const program = half(
    { post: (message) => scope.postMessage(message) },
    { clock: systemClock, storage: diskStorage },
  );
  let log: LogOutput | undefined;
  scope.onmessage = ({ data }: MessageEvent<ToHalf>) => {
    if (data.type === "start") configureLogging(data.options.logging, log = logToRing(data.options.logRing));
    if (data.type === "config") configureLogging(data.logging, log);
    if (data.type === "stop") flushRepeats(true);
    program.receive(data);
  };
  const tellRepeats = (): void => {
    flushRepeats();
    systemClock.after(REPEATS_MS, tellRepeats);
  };
  tellRepeats();
}
