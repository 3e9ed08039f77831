/// <reference lib="deno.worker" />
/** What both worker entries do: connect a half to its worker's messages. */
import { systemClock } from "../core/clock.ts";
import { diskStorage } from "../spool/disk_storage.ts";
import { configureLogging } from "../telemetry/log.ts";
import type { HalfPort, HalfProgram } from "./half_host.ts";
import type { HalfDeps } from "./half_policy.ts";
import type { ToHalf } from "./messages.ts";

/** Runs a half in this worker until the worker is terminated. */
export function runInWorker(half: (port: HalfPort, deps: HalfDeps) => HalfProgram): void {
  const scope = self as unknown as DedicatedWorkerGlobalScope;
  const program = half(
    { post: (message) => scope.postMessage(message) },
    { clock: systemClock, storage: diskStorage },
  );
  scope.onmessage = ({ data }: MessageEvent<ToHalf>) => {
    if (data.type === "start") configureLogging(data.options.logging);
    if (data.type === "config") configureLogging(data.logging);
    program.receive(data);
  };
}
