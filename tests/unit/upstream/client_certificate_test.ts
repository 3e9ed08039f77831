import { assertEquals, assertRejects } from "@std/assert";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { denoDial } from "../../../src/upstream/dial.ts";
import { proxySpec } from "../../../src/upstream/proxy_tunnel.ts";
import { UpstreamError } from "../../../src/upstream/upstream_error.ts";
import { ConnectProxy } from "../../support/connect_proxy.ts";
import { TestAuthority } from "../../support/tls_files.ts";

async function setUp() {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const authority = await TestAuthority.create(folder);
  const server = await authority.issue("server", "up", ["up.test"]);
  const client = await authority.issue("client", "node", ["node.test"]);
  const https: Server = createServer({
    cert: server.certificate,
    key: server.key,
    ca: authority.root,
    requestCert: true,
    rejectUnauthorized: true,
  }, (request, response) => {
    response.end(String((request.socket as TLSSocket).getPeerCertificate().subject.CN));
  });
  await new Promise<void>((resolve) => https.listen(0, "127.0.0.1", resolve));
  const { port } = https.address() as AddressInfo;
  return {
    target: {
      scheme: "https",
      hostname: "127.0.0.1",
      port,
      serverName: "up.test",
      hostHeader: null,
    } as const,
    caCerts: [authority.root],
    clientCertificate: client,
    async [Symbol.asyncDispose]() {
      https.closeAllConnections();
      await new Promise((resolve) => https.close(resolve));
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Asks and returns the end of what is answered, in pieces as small as they can be. */
async function ask(wire: Awaited<ReturnType<ReturnType<typeof denoDial>>>): Promise<string> {
  await wire.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: up.test\r\nConnection: close\r\n\r\n"));
  let text = "";
  const buffer = new Uint8Array(7);
  for (;;) {
    const bytes = await wire.read(buffer);
    if (bytes === null) break;
    text += new TextDecoder().decode(buffer.subarray(0, bytes));
  }
  wire.close();
  return text.split("\r\n\r\n")[1]!;
}

const signal = new AbortController().signal;

Deno.test("denoDial shows a client certificate, under a name that is not the address", async () => {
  await using up = await setUp();
  assertEquals(await ask(await denoDial(up)(up.target, signal)), "node");
});

Deno.test("denoDial verifies the name also when it shows a certificate", async () => {
  await using up = await setUp();
  const target = { ...up.target, serverName: "other.test" };
  const error = await assertRejects(() => denoDial(up)(target, signal), UpstreamError);
  assertEquals(error.kind, "tls");
});

Deno.test("denoDial tells when a proxy refuses", async () => {
  await using proxy = new ConnectProxy({ credentials: "a:b" });
  const dial = denoDial({ proxy: proxySpec(`http://127.0.0.1:${proxy.port}`) });
  const target = { scheme: "http", hostname: "192.0.2.1", port: 80, hostHeader: null } as const;
  const error = await assertRejects(() => dial(target, signal), UpstreamError, "407");
  assertEquals(error.kind, "connect");
});
