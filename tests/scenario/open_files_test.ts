/** A node whose clients hold more connections than it has file descriptors. */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { PROJECT_ROOT } from "../support/project_tasks.ts";
import { RawHttp, requestBytes } from "../support/raw_http.ts";
import { until } from "../support/until.ts";

const OPEN_FILES = 300;
const CONNECTIONS = 400;

/** Runs the program with few file descriptors. */
async function scarceExecutable(folder: string): Promise<string> {
  const path = join(folder, "landfall");
  const command =
    `exec "${Deno.execPath()}" run -P=node --config "${PROJECT_ROOT}/deno.json" "${PROJECT_ROOT}/main.ts"`;
  await Deno.writeTextFile(path, `#!/bin/sh\nulimit -n ${OPEN_FILES}\n${command} "$@"\n`);
  await Deno.chmod(path, 0o755);
  return path;
}

for (const exposure of EXPOSURES) {
  Deno.test(
    `${exposure}: a node at its limit of open files stays alive, says so, and recovers`,
    { ignore: !NODE_ENGINE_IS_COMPLETE },
    async () => {
      const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
      try {
        await using node = await NodeProcess.start({
          upstream: "http://127.0.0.1:9",
          // Without all permissions the node cannot ask for its limit, so the operator has to tell.
          config: { listener: { exposure }, limits: { max_connections: 100 } },
          executable: await scarceExecutable(folder),
        });
        const metric = async (name: string): Promise<number> => {
          const text = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text();
          return Number(new RegExp(`^${name.replace(/[{}"]/g, "\\$&")} (\\S+)$`, "m").exec(text)?.[1] ?? 0);
        };
        const held: RawHttp[] = [];
        for (let count = 0; count < CONNECTIONS; count++) {
          // Refused while the listener is opened again.
          await RawHttp.connect(node.port).then((connection) => held.push(connection), () => {});
        }
        const sign = exposure === "internet"
          ? 'landfall_connections_refused_total{reason="total"}'
          : "landfall_listener_restarts_total";
        // What the kernel holds for the node has reached it, and it has noticed.
        if (exposure === "load_balancer") {
          await until("accepting failed", () => node.stderr.includes("accepting connections failed"));
        } else {
          await until(`${sign} has moved`, async () => await metric(sign).catch(() => 0) > 0);
        }
        // The admin listener has no descriptor to spare until some are given back; that somebody asks now must not end it.
        const asked = metric(sign).catch(() => 0);
        for (const connection of held.splice(0, held.length - 50)) connection[Symbol.dispose]();
        await until(`${sign} has moved`, async () => await metric(sign).catch(() => 0) > 0);
        await asked;
        for (const connection of held) connection[Symbol.dispose]();
        const path = `/api/1/envelope/?sentry_key=${TEST_KEY}`;
        const event = `{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n{"type":"event","length":2}\n{}\n`;
        await until("an envelope is taken again", async () => {
          try {
            using connection = await RawHttp.connect(node.port);
            await connection.send(requestBytes("POST", path, {}, event));
            return (await connection.response())?.status === 200;
          } catch {
            return false;
          }
        });
        assertEquals(await metric('landfall_worker_restarts_total{half="ingest"}'), 0);
        assert(await node.terminate() === 0);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}
