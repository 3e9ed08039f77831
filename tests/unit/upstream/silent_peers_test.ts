/** Handshakes over real sockets with peers that take connections and say nothing. */
import { assertEquals, assertRejects } from "@std/assert";
import { close, denoDial, upstreamTarget } from "../../../src/upstream/dial.ts";
import { UpstreamError } from "../../../src/upstream/upstream_error.ts";
import { TEST_CERTIFICATE, TEST_KEY, TEST_ROOT } from "../../support/test_certificate.ts";
import { until } from "../../support/until.ts";

/** A server that reads, and says nothing. */
function silentServer() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const received: Uint8Array[] = [];
  const open = new Set<Deno.TcpConn>();
  const serve = async (conn: Deno.TcpConn): Promise<void> => {
    const into = new Uint8Array(4096);
    open.add(conn);
    for (;;) {
      const length = await conn.read(into).catch(() => null);
      if (length === null) break;
      received.push(into.slice(0, length));
    }
    open.delete(conn);
    close(conn);
  };
  const accepting = (async () => {
    for await (const conn of listener) void serve(conn);
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    received,
    open: () => open.size,
    close: async () => {
      listener.close();
      await accepting;
      for (const conn of open) close(conn);
      await until("all are closed", () => open.size === 0);
    },
  };
}

Deno.test("a peer that never answers a handshake holds one socket, however often it is dialled; once it speaks, all is well", async () => {
  const server = silentServer();
  const { port } = server;
  const target = upstreamTarget(`https://localhost:${port}`, null);
  const dial = denoDial({ caCerts: [TEST_ROOT] });
  const dialInVain = async (): Promise<UpstreamError> => {
    const before = server.received.length;
    const giveUp = new AbortController();
    const failed = assertRejects(() => dial(target, giveUp.signal), UpstreamError);
    await until("the peer was spoken to", () => server.received.length > before);
    giveUp.abort();
    return await failed;
  };
  for (let i = 0; i < 8; i++) assertEquals((await dialInVain()).kind, "tls");
  await until("what was ours to close is closed", () => server.open() === 1);
  // One hello, then knocks alone.
  assertEquals(server.received.map((bytes) => bytes[0]), [0x16, 0x15, 0x15, 0x15, 0x15, 0x15, 0x15, 0x15]);
  await server.close();

  const options = { hostname: "127.0.0.1", port, cert: TEST_CERTIFICATE, key: TEST_KEY };
  using listener = Deno.listenTls(options);
  const handshakes = (async () => {
    const results: string[] = [];
    // The knock, and then the dial itself.
    for (let i = 0; i < 2; i++) {
      const conn = await listener.accept();
      await conn.handshake().then(() => results.push("agreed"), () => results.push("refused"));
      close(conn);
    }
    return results;
  })();
  close(await dial(target, new AbortController().signal));
  assertEquals(await handshakes, ["refused", "agreed"]);
});
