/// <reference lib="deno.worker" />
/** A writer of a ring in an isolate of its own; says how many of its lines were taken. */
import { utf8 } from "../../src/core/bytes.ts";
import { SharedRing } from "../../src/core/shared_ring.ts";

const scope = self as unknown as DedicatedWorkerGlobalScope;
scope.onmessage = ({ data }: MessageEvent<{ buffer: SharedArrayBuffer; lines: number }>) => {
  const ring = new SharedRing(data.buffer);
  let taken = 0;
  for (let number = 0; number < data.lines; number++) {
    if (ring.push(utf8(`${number} ${"x".repeat(number % 100 + 1)}\n`))) taken++;
  }
  scope.postMessage(taken);
};
