/** The port with TLS, over both engines: what it serves, how certificates are chosen and renewed. */
import { assertEquals, assertMatch } from "@std/assert";
import { CidrSet } from "../../src/core/cidr.ts";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { AUTH, EXPOSURES, startListener } from "../support/listener_fixture.ts";
import { RawHttp } from "../support/raw_http.ts";
import { shownCertificate, TestAuthority } from "../support/tls_files.ts";
import { until } from "../support/until.ts";

const ID = "9ec79c33ec9942ab8353589fcb2e04dc";
const EVENT = `{"event_id":"${ID}"}\n{"type":"event","length":2}\n{}\n`;
const PATH = `/api/42/envelope/?${AUTH}`;
const ignore = !NODE_ENGINE_IS_COMPLETE;

const folder = await Deno.makeTempDir({ prefix: "landfall-test-tls-" });
const authority = await TestAuthority.create(folder);
const before = await authority.issue("before", "before", ["localhost", "a.example"]);
const after = await authority.issue("after", "after", ["localhost"]);
const other = await authority.issue("other", "other", ["b.example", "*.c.example"]);
await Deno.remove(folder, { recursive: true });

const client = (options: Deno.CreateHttpClientOptions = {}) =>
  Deno.createHttpClient({ caCerts: [authority.root], ...options });

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: the plain port and the one with TLS are served, HSTS is told over TLS alone`, {
    ignore,
  }, async () => {
    await using fixture = await startListener({ exposure, tls: [before], hstsMaxAgeSeconds: 300 });
    using http = client();
    for (
      const [url, hsts] of [[fixture.url, null], [
        `https://localhost:${fixture.tlsPort}`,
        "max-age=300",
      ]] as const
    ) {
      const answer = await fetch(url + PATH, { method: "POST", body: EVENT, client: http });
      assertEquals([answer.status, await answer.text()], [200, `{"id":"${ID}"}`]);
      assertEquals(answer.headers.get("strict-transport-security"), hsts);
      assertEquals(fixture.ingress.take().meta.remoteAddr, "127.0.0.1");
    }
  });

  Deno.test(`${exposure}: a large body over TLS arrives whole`, { ignore }, async () => {
    await using fixture = await startListener({ exposure, tls: [before] });
    using http = client();
    const body = `{"event_id":"${ID}"}\n{"type":"attachment","filename":"a"}\n${"x".repeat(3_000_000)}`;
    const url = `https://localhost:${fixture.tlsPort}${PATH}`;
    assertEquals((await (await fetch(url, { method: "POST", body, client: http })).json()).id, ID);
    assertEquals(fixture.ingress.take().body.reduce((sum, { length }) => sum + length, 0), body.length);
  });

  Deno.test(`${exposure}: TLS below 1.2 is not spoken`, { ignore }, async () => {
    await using fixture = await startListener({ exposure, tls: [before] });
    assertMatch(await shownCertificate(fixture.tlsPort, "localhost", "-tls1_1"), /^none/);
    assertEquals(await shownCertificate(fixture.tlsPort, "localhost", "-tls1_2"), "before");
  });

  Deno.test(`${exposure}: a renewed certificate is shown to new connections, those that are open go on`, {
    ignore,
  }, async () => {
    await using fixture = await startListener({ exposure, tls: [before], idleTimeoutMs: 200 });
    using http = client({ poolMaxIdlePerHost: 4 });
    const url = `https://localhost:${fixture.tlsPort}${PATH}`;
    let isOver = false;
    let answered = 0;
    const load = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const answer = await fetch(url, { method: "POST", body: EVENT, client: http });
        assertEquals([answer.status, await answer.text()], [200, `{"id":"${ID}"}`]);
        answered++;
      }
    });
    await until("there is load", () => answered > 20);
    fixture.listener.replaceCertificates([after]);
    await until("the new certificate is shown", async () => {
      const shown = await Promise.all(
        Array.from({ length: 4 }, () => shownCertificate(fixture.tlsPort, "localhost")),
      );
      return shown.every((name) => name === "after");
    });
    const seen = answered;
    await until("there is load", () => answered > seen + 20);
    isOver = true;
    await Promise.all(load);
  });
}

Deno.test("load_balancer: HTTP/2 over TLS is spoken, and answers are those of HTTP/1.1", async () => {
  await using fixture = await startListener({
    exposure: "load_balancer",
    tls: [before],
    maxEnvelopeBytes: 100_000,
  });
  const url = `https://localhost:${fixture.tlsPort}`;
  const requests: [string, RequestInit][] = [
    [PATH, { method: "POST", body: EVENT }],
    [PATH, { method: "POST", body: "" }],
    [PATH, { method: "POST", body: "x".repeat(200_000) }],
    [PATH, { method: "PUT", body: EVENT }],
    ["/api/42/envelope/", { method: "POST", body: EVENT }],
    ["/nowhere", {}],
    [`/?${"x".repeat(9000)}`, {}],
    ["/api/relay/healthcheck/live/", {}],
  ];
  const answers: Record<string, unknown>[][] = [];
  for (const http2 of [true, false]) {
    using http = client({ http2, http1: !http2 });
    const of = async ([path, init]: [string, RequestInit]) => {
      const answer = await fetch(url + path, { ...init, client: http });
      const headers = [...answer.headers].filter(([name]) =>
        !/^(date|content-length|connection)$/.test(name)
      );
      return { status: answer.status, body: await answer.text(), headers };
    };
    answers.push(await Promise.all(requests.map(of)));
  }
  assertEquals(answers[0]!.map(({ status }) => status), [200, 400, 413, 405, 401, 404, 414, 200]);
  assertEquals(answers[0], answers[1]);
  assertEquals(fixture.bodies.held, 0);
});

Deno.test("internet: certificates are chosen by the host a client asks for", { ignore }, async () => {
  await using fixture = await startListener({ exposure: "internet", tls: [before, other] });
  for (
    const [host, name] of [
      ["a.example", "before"],
      ["b.example", "other"],
      ["B.example", "other"],
      ["x.c.example", "other"],
      ["x.y.c.example", "before"],
      ["unknown.example", "before"],
      [null, "before"],
    ] as const
  ) assertEquals(await shownCertificate(fixture.tlsPort, host), name, String(host));
});

Deno.test("internet: who does not speak TLS, or not to its end, is cut off in time", { ignore }, async () => {
  await using fixture = await startListener({ exposure: "internet", tls: [before], headersTimeoutMs: 100 });
  for (const start of ["", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01"]) {
    using connection = await RawHttp.connect(fixture.tlsPort);
    await connection.send(start);
    // An alert may come before the end.
    await until("the connection ended", async () => await connection.closed());
  }
  await until("no connection is left", () => fixture.metrics.read(METRICS.connections) === 0);
  assertEquals(fixture.metrics.read(METRICS.connectionsRefused, "tls"), 3);
});

Deno.test("internet: a half-sent head over TLS is answered with 408", { ignore }, async () => {
  await using fixture = await startListener({ exposure: "internet", tls: [before], headersTimeoutMs: 100 });
  const plain = await Deno.connect({ hostname: "127.0.0.1", port: fixture.tlsPort });
  const secure = await Deno.startTls(plain, { hostname: "localhost", caCerts: [authority.root] });
  await secure.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHo"));
  const buffer = new Uint8Array(1000);
  const read = await secure.read(buffer);
  assertMatch(new TextDecoder().decode(buffer.subarray(0, read ?? 0)), /^HTTP\/1.1 408 /);
  secure.close();
});

Deno.test(
  "internet: a PROXY header stands before TLS, alone or with its first bytes",
  { ignore },
  async () => {
    await using fixture = await startListener({
      exposure: "internet",
      tls: [before],
      proxies: CidrSet.parse(["127.0.0.1"]),
    });
    const header = "PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n";
    // A relay in between writes the header together with what the client sends first.
    using relay = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const relaying = (async () => {
      for (const isTogether of [true, false]) {
        const from = await relay.accept();
        const to = await Deno.connect({ hostname: "127.0.0.1", port: fixture.tlsPort });
        const first = new Uint8Array(16 * 1024);
        const read = await from.read(first) ?? 0;
        const head = new TextEncoder().encode(header);
        if (isTogether) await to.write(new Uint8Array([...head, ...first.subarray(0, read)]));
        else {
          await to.write(head);
          await to.write(first.subarray(0, read));
        }
        void from.readable.pipeTo(to.writable).catch(() => {});
        void to.readable.pipeTo(from.writable).catch(() => {});
      }
    })();
    for (let round = 0; round < 2; round++) {
      const http = client();
      const url = `https://localhost:${(relay.addr as Deno.NetAddr).port}${PATH}`;
      const answer = await fetch(url, { method: "POST", body: EVENT, client: http });
      assertEquals([answer.status, await answer.text()], [200, `{"id":"${ID}"}`]);
      assertEquals(fixture.ingress.take().meta.remoteAddr, "203.0.113.7");
      http.close();
    }
    await relaying;
    assertEquals(fixture.metrics.read(METRICS.connectionsRefused, "proxy_header"), 0);
    await until("no connection is left", () => fixture.metrics.read(METRICS.connections) === 0);
  },
);
