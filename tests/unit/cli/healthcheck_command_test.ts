import { assertEquals, assertStringIncludes } from "@std/assert";
import { runFakeCli } from "../../support/fake_system.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** A node that answers the health routes with the given statuses; returns what it was asked for. */
async function withNode(
  statuses: Record<string, number>,
  use: (port: number, asked: string[]) => Promise<void>,
) {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const path = new URL(request.url).pathname;
    asked.push(`${request.method} ${path} ${request.headers.get("host")}`);
    return new Response("{}", { status: statuses[path] ?? 404 });
  });
  try {
    await use(server.addr.port, asked);
  } finally {
    await server.shutdown();
  }
}

const READY = "/api/relay/healthcheck/ready/";
const LIVE = "/api/relay/healthcheck/live/";

Deno.test("healthcheck: exits by the status of the health route", async () => {
  await withNode({ [READY]: 503, [LIVE]: 200 }, async (port, asked) => {
    const place = ["--host", "127.0.0.1", "--port", String(port)];
    assertEquals((await runFakeCli(["healthcheck", "--mode", "live", ...place])).code, 0);
    const ready = await runFakeCli(["healthcheck", ...place]);
    assertEquals([ready.code, ready.err], [1, `landfall: 127.0.0.1:${port} is not ready: status 503\n`]);
    assertEquals(asked, [`GET ${LIVE} 127.0.0.1:${port}`, `GET ${READY} 127.0.0.1:${port}`]);
  });
});

Deno.test("healthcheck: takes host and port from the configuration, the internal listener first", async () => {
  await withNode({ [READY]: 200 }, async (port) => {
    const rows = [
      { env: { RELAY_HOST: "0.0.0.0", RELAY_PORT: String(port) } },
      { files: { ".landfall/config.yml": `relay: { port: 1, internal_port: ${port} }` } },
    ];
    for (const outside of rows) {
      const { code, err } = await runFakeCli(["healthcheck"], outside);
      assertEquals([code, err], [0, ""]);
    }
  });
});

Deno.test("healthcheck: a broken configuration is an error only when it is needed", async () => {
  const files = { ".landfall/config.yml": "nope: 1" };
  await withNode({ [READY]: 200 }, async (port) => {
    const given = ["--host", "127.0.0.1", "--port", String(port)];
    assertEquals((await runFakeCli(["healthcheck", ...given], { files })).code, 0);
  });
  assertEquals((await runFakeCli(["healthcheck"], { files })).code, 78);
});

Deno.test("healthcheck: nobody there, or somebody who does not speak HTTP, is a failure", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const place = ["--host", "127.0.0.1", "--port", String(listener.addr.port)];
  const answering = listener.accept().then(async (connection) => {
    await connection.read(new Uint8Array(1024));
    await connection.write(new TextEncoder().encode("220 mail\r\n"));
    connection.close();
  });
  const odd = await runFakeCli(["healthcheck", ...place]);
  assertEquals(odd.code, 1);
  assertStringIncludes(odd.err, "the answer is not HTTP");
  await answering;
  listener.close();
  const nobody = await runFakeCli(["healthcheck", ...place]);
  assertEquals(nobody.code, 1);
  assertStringIncludes(nobody.err, "no answer from 127.0.0.1:");
});

Deno.test("healthcheck: gives up after --timeout", async () => {
  const clock = new ManualClock();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const place = ["--host", "127.0.0.1", "--port", String(listener.addr.port)];
  const running = runFakeCli(["healthcheck", "--timeout", "2", ...place], { clock });
  const connection = await listener.accept();
  await connection.read(new Uint8Array(1024));
  await clock.advance(2000);
  const { code, err } = await running;
  assertEquals(code, 1);
  assertStringIncludes(err, "nothing within 2000 ms");
  connection.close();
  listener.close();
});
