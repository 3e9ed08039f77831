/** Several isolates on one port: how the lanes of a node share their listener's address. */
import { assertEquals } from "@std/assert";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { rawRequest, requestBytes } from "../support/raw_http.ts";

function startWorker(exposure: string, port: number): Promise<{ worker: Worker; port: number }> {
  const worker = new Worker(new URL("../support/listener_worker.ts", import.meta.url), { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<{ worker: Worker; port: number }>();
  worker.onmessage = ({ data }) => resolve({ worker, port: data });
  worker.onerror = (event) => reject(new Error(event.message));
  worker.postMessage({ exposure, port });
  return promise;
}

for (const exposure of EXPOSURES) {
  const ignore = exposure === "internet" && !NODE_ENGINE_IS_COMPLETE;
  Deno.test(`${exposure}: listeners in several isolates share a port`, { ignore }, async () => {
    const first = await startWorker(exposure, 0);
    const second = await startWorker(exposure, first.port);
    assertEquals(second.port, first.port);
    const seen = new Set<string>();
    while (seen.size < 2) {
      const answer = await rawRequest(
        first.port,
        requestBytes("GET", "/api/0/relays/live/", { connection: "close" }),
      );
      seen.add(answer!.headers.get("server")!);
    }
    first.worker.terminate();
    second.worker.terminate();
  });
}
