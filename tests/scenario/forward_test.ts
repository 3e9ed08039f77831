/** The way to the upstream's own API, over both engines and real sockets: ingestion reference, section 1.4. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import * as zlib from "node:zlib";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { startForwarding } from "../support/forward_fixture.ts";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { RawHttp, rawRequest, requestBytes } from "../support/raw_http.ts";
import { type RawCall, RawUpstream } from "../support/raw_upstream.ts";
import { until } from "../support/until.ts";

const API = "/api/0/organizations/o/";
const CHUNKS = "/api/0/organizations/o/chunk-upload/";
const MIB = 1024 * 1024;

const echo = async (call: RawCall): Promise<void> => {
  const body = await call.text();
  await call.answer(200, { "X-Length": String(body.length) }, body);
};

/** A body of this many bytes, made as it is read. */
function zeroes(bytes: number, onPiece: () => void = () => {}): ReadableStream<Uint8Array> {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      const piece = new Uint8Array(Math.min(left, 64 * 1024));
      left -= piece.length;
      onPiece();
      controller.enqueue(piece);
      if (left === 0) controller.close();
    },
  }, { highWaterMark: 0 });
}

for (const exposure of EXPOSURES) {
  /** Whether the engine waits for a client that takes its answer slowly; that of older runtimes does not. */
  const waitsForReaders = exposure === "load_balancer" || NODE_ENGINE_IS_COMPLETE;

  Deno.test(`${exposure}: method, path, query, headers and body reach the upstream: section 1.4`, async () => {
    await using upstream = new RawUpstream(echo);
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const headers = {
      "authorization": "Bearer abc",
      "cookie": "a=1; b=2",
      "user-agent": "cli/2",
      "x-sentry-relay-id": "r",
      "accept-encoding": "gzip, br",
      "content-type": "application/json",
    };
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      const body = method === "GET" || method === "OPTIONS" ? "" : `{"a":1}`;
      const target = `/api//0///x/?q=1&r=a//b&sentry_key=%20`;
      const lengthless = body === "" ? { "x-none": "1" } : {};
      const answer = await rawRequest(
        node.port,
        requestBytes(method, target, { ...headers, ...lengthless }, body),
      );
      assertEquals([answer?.status, answer?.body], [200, body], method);
      const call = upstream.calls.at(-1)!;
      assertEquals([call.method, call.path], [method, "/api/0/x/?q=1&r=a//b&sentry_key=%20"]);
      for (const [name, value] of Object.entries(headers)) assertEquals(call.header(name), [value], name);
      assertEquals(call.header("host"), [`127.0.0.1:${upstream.port}`]);
      assertEquals(call.header("x-forwarded-for"), ["127.0.0.1"]);
      assertEquals(call.header("connection"), ["close"]);
    }
    assertEquals(node.metrics.read(METRICS.requests, "forward", "200"), 6);
    assertEquals(node.metrics.read(METRICS.outcomes, "invalid", "other", "default"), 0);
  });

  Deno.test(`${exposure}: what belongs to the connection does not travel: section 1.4`, async () => {
    await using upstream = new RawUpstream(async (call) => {
      await call.text();
      await call.answer(200, {
        "Connection": "X-Private, close",
        "X-Private": "1",
        "Keep-Alive": "timeout=5",
        "Proxy-Authenticate": "Basic",
        "Server": "nginx",
        "X-Public": "2",
        "Date": "Mon, 01 Jan 2001 00:00:00 GMT",
      }, "x");
    });
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const answer = await rawRequest(
      node.port,
      requestBytes("POST", API, {
        "connection": "TE, X-Hop",
        "te": "gzip",
        "x-hop": "1",
        "proxy-authorization": "Basic x",
        "trailer": "x",
        "upgrade": "h2c",
        "http2-settings": "AAMAAABkAAQAAP__",
        "x-kept": "2",
      }, "x"),
    );
    const names = upstream.calls[0]!.lines.map((line) => line.split(":")[0]!.toLowerCase()).sort();
    assertEquals(names, ["connection", "content-length", "host", "x-forwarded-for", "x-kept"]);
    assertEquals(answer?.headers.get("server"), "landfall/1.2.3");
    assertEquals(answer?.headers.get("x-public"), "2");
    assertEquals(answer?.headers.get("date"), "Mon, 01 Jan 2001 00:00:00 GMT");
    assertEquals(answer?.headers.get("cross-origin-resource-policy"), "cross-origin");
    for (const name of ["x-private", "proxy-authenticate", "access-control-allow-origin"]) {
      assertEquals(answer?.headers.has(name), false, name);
    }
  });

  Deno.test(`${exposure}: the client's address is one line, whoever wrote one before: sections 1.4 and 6.1`, async () => {
    await using upstream = new RawUpstream(echo);
    const forged = { "x-forwarded-for": "203.0.113.7", "x-sentry-forwarded-for": "203.0.113.8" };
    for (
      const [trustedProxies, expected] of [[[], "127.0.0.1"], [
        ["127.0.0.1"],
        "203.0.113.8, 127.0.0.1",
      ]] as const
    ) {
      await using node = await startForwarding({
        exposure,
        upstream: upstream.url,
        ...trustedProxies.length > 0 ? { trustedProxies } : {},
      });
      await rawRequest(node.port, requestBytes("GET", API, forged));
      const call = upstream.calls.at(-1)!;
      assertEquals(call.header("x-forwarded-for"), [expected]);
      assertEquals(call.header("x-sentry-forwarded-for"), []);
    }
  });

  Deno.test(`${exposure}: a configured Host header is sent, and redirects are not followed`, async () => {
    await using upstream = new RawUpstream((call) =>
      call.answer(302, { location: "http://elsewhere.example/x" })
    );
    await using node = await startForwarding({
      exposure,
      upstream: upstream.url,
      hostHeader: "sentry.example",
    });
    const answer = await rawRequest(node.port, requestBytes("GET", API, {}));
    assertEquals([answer?.status, answer?.headers.get("location")], [302, "http://elsewhere.example/x"]);
    assertEquals(upstream.calls[0]!.header("host"), ["sentry.example"]);
  });

  Deno.test(`${exposure}: encoded answers arrive byte by byte, plain ones stay plain`, async () => {
    const packed = zlib.gzipSync("hello ".repeat(5000));
    const plain = "plain text ".repeat(5000);
    await using upstream = new RawUpstream(async (call) => {
      if (call.path.endsWith("gz/")) {
        await call.answer(200, { "Content-Encoding": "gzip" }, new Uint8Array(packed));
      } else await call.answer(200, { "Content-Type": "text/plain" }, plain);
    });
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const ask = (path: string) =>
      rawRequest(node.port, requestBytes("GET", path, { "accept-encoding": "gzip, br" }));
    const gz = await ask(`${API}gz/`);
    assertEquals(gz?.headers.get("content-encoding"), "gzip");
    assertEquals(gz?.body, new TextDecoder("latin1").decode(packed));
    const text = await ask(`${API}text/`);
    assertEquals(text?.body, plain);
    assertMatch(text?.headers.get("content-encoding") ?? "identity", /^identity$/);
  });

  Deno.test(`${exposure}: every framing of an answer is passed on`, async () => {
    const answers: Record<string, (call: RawCall) => Promise<void>> = {
      chunked: (call) =>
        call.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
      close: (call) => call.write("HTTP/1.0 200 OK\r\n\r\nabcde"),
      length: (call) => call.answer(200, {}, "abcde"),
      interim: async (call) => {
        await call.write("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        await call.answer(200, {}, "abcde");
      },
      none: (call) => call.write("HTTP/1.1 204 No Content\r\n\r\n"),
      unchanged: (call) => call.write("HTTP/1.1 304 Not Modified\r\nEtag: x\r\n\r\n"),
      empty: (call) => call.answer(404, {}),
    };
    await using upstream = new RawUpstream((call) => answers[call.path.split("/").at(-2)!]!(call));
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const seen: unknown[] = [];
    for (const name of Object.keys(answers)) {
      const answer = await rawRequest(node.port, requestBytes("GET", `/api/0/${name}/`, {}));
      seen.push([name, answer?.status, answer?.body]);
    }
    assertEquals(seen, [
      ["chunked", 200, "abcde"],
      ["close", 200, "abcde"],
      ["length", 200, "abcde"],
      ["interim", 200, "abcde"],
      ["none", 204, ""],
      ["unchanged", 304, ""],
      ["empty", 404, ""],
    ]);
  });

  Deno.test(`${exposure}: HEAD has the length and no body, cookies stay apart`, async () => {
    await using upstream = new RawUpstream((call) =>
      call.write("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2, c\r\n\r\n")
    );
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const response = await fetch(node.url + API, { method: "HEAD" });
    assertEquals(response.headers.get("content-length"), "12345");
    assertEquals(response.headers.getSetCookie(), ["a=1", "b=2, c"]);
    assertEquals(await response.text(), "");
    assertEquals(upstream.calls[0]!.method, "HEAD");
  });

  Deno.test(`${exposure}: encoded request bodies arrive decoded: section 1.4`, async () => {
    await using upstream = new RawUpstream(echo);
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const text = "body ".repeat(20_000);
    for (const [encoding, encode] of [["gzip", zlib.gzipSync], ["deflate", zlib.deflateSync]] as const) {
      const body = new Uint8Array(encode(text));
      const answer = await rawRequest(
        node.port,
        requestBytes("POST", API, { "content-encoding": encoding }, body),
      );
      assertEquals([answer?.status, answer?.body === text], [200, true], encoding);
      assertEquals(upstream.calls.at(-1)!.header("content-encoding"), []);
    }
    const members = new Uint8Array([...zlib.gzipSync("a"), ...zlib.gzipSync("b")]);
    const answer = await rawRequest(
      node.port,
      requestBytes("POST", API, { "content-encoding": "gzip" }, members),
    );
    assertEquals(answer?.body, "ab");
  });

  Deno.test(`${exposure}: bodies beyond their limit are refused, announced or not, packed or not: section 4.4`, async () => {
    await using upstream = new RawUpstream(echo);
    await using node = await startForwarding({ exposure, upstream: upstream.url, payloadBytesMax: 100_000 });
    const ask = async (path: string, headers: Record<string, string>, body: BodyInit) => {
      const answer = await fetch(node.url + path, { method: "POST", headers, body });
      return [answer.status, (await answer.text()).slice(0, 30)];
    };
    const refused = [413, "length limit exceeded"];
    assertEquals(await ask(API, {}, new Uint8Array(100_001)), refused);
    assertEquals(await ask(API, {}, zeroes(100_001)), refused);
    const bomb = new Uint8Array(zlib.gzipSync(new Uint8Array(5 * MIB)));
    assertEquals(await ask(API, { "content-encoding": "gzip" }, bomb), refused);
    assertEquals((await ask(API, {}, new Uint8Array(100_000)))[0], 200);
    const files = "/api/0/projects/o/p/releases/1.0/files/";
    assertEquals((await ask(files, {}, new Uint8Array(200_000)))[0], 200);
    assertEquals(await ask(files, {}, new Uint8Array(200_001)), refused);
    assertEquals((await ask(CHUNKS, {}, new Uint8Array(300_000)))[0], 200);
    await until("nothing is left", () => node.upstream.inFlight === 0 && upstream.open === 0);
  });

  Deno.test(`${exposure}: bad encodings of a body are the client's fault`, async () => {
    await using upstream = new RawUpstream(echo);
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const ask = async (encoding: string, body: Uint8Array<ArrayBuffer>) => {
      const answer = await fetch(node.url + API, {
        method: "POST",
        headers: { "content-encoding": encoding },
        body,
      });
      await answer.body?.cancel();
      return answer.status;
    };
    assertEquals(await ask("rot13", new Uint8Array(3)), 415);
    assertEquals(await ask("gzip", new Uint8Array(3)), 400);
    assertEquals(await ask("gzip", new Uint8Array(zlib.gzipSync("a".repeat(1000)).subarray(0, 20))), 400);
    assertEquals(await ask("gzip", new Uint8Array(0)), 200);
    await until("nothing is left", () => node.upstream.inFlight === 0 && upstream.open === 0);
  });

  Deno.test(`${exposure}: 256 MiB pass in each direction, and memory does not grow with them`, async () => {
    const total = 256 * MIB;
    await using upstream = new RawUpstream(async (call) => {
      let received = 0;
      for await (const piece of call.body()) {
        received += piece.length;
        underWay -= piece.length;
      }
      await call.write(`HTTP/1.1 200 OK\r\nX-Received: ${received}\r\nContent-Length: ${total}\r\n\r\n`);
      const piece = new Uint8Array(MIB);
      for (let sent = 0; sent < total; sent += piece.length, underWay += piece.length) {
        await call.write(piece);
      }
    });
    let underWay = 0;
    let most = 0;
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const before = Deno.memoryUsage().rss;
    let peak = 0;
    const look = () => {
      peak = Math.max(peak, Deno.memoryUsage().rss);
      most = Math.max(most, underWay);
    };
    const answer = await fetch(node.url + CHUNKS, {
      method: "POST",
      body: zeroes(total, () => (underWay += 64 * 1024, look())),
    });
    assertEquals(answer.headers.get("x-received"), String(total));
    let received = 0;
    for await (const piece of answer.body!) {
      received += piece.length;
      underWay -= piece.length;
      look();
    }
    assertEquals(received, total);
    assert(most < (waitsForReaders ? 32 : 128) * MIB, `${most / MIB} MiB under way`);
    // Half of what went through, and most of that garbage of client and upstream, which live here, too.
    if (NODE_ENGINE_IS_COMPLETE) assert(peak - before < 256 * MIB, `${(peak - before) / MIB} MiB more`);
  });

  Deno.test(`${exposure}: a slow reader slows the upstream down, a slow upstream the client`, async () => {
    let sent = 0;
    await using upstream = new RawUpstream(async (call) => {
      if (call.method === "GET") {
        await call.write(`HTTP/1.1 200 OK\r\nContent-Length: ${256 * MIB}\r\n\r\n`);
        const piece = new Uint8Array(256 * 1024);
        for (sent = 0; sent < 256 * MIB; sent += piece.length) await call.write(piece);
      } else {
        await released.promise;
        await echoLength(call);
      }
    });
    const released = Promise.withResolvers<void>();
    await using node = await startForwarding({ exposure, upstream: upstream.url, timeoutMs: 20_000 });
    {
      using client = await RawHttp.connect(node.port);
      await client.send(`GET ${API} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await settled(() => sent);
      if (waitsForReaders) assert(sent < 64 * MIB, `the upstream got rid of ${sent / MIB} MiB`);
    }
    await until("the download is given up", () => node.upstream.inFlight === 0 && upstream.open === 0);
    let made = 0;
    const answer = fetch(node.url + CHUNKS, { method: "POST", body: zeroes(128 * MIB, () => made++) });
    await settled(() => made);
    assert(made * 64 * 1024 < 64 * MIB, `the client got rid of ${made / 16} MiB`);
    released.resolve();
    assertEquals(await (await answer).text(), String(128 * MIB));
  });

  Deno.test(`${exposure}: an upstream that is down is 502, a silent one 504, a broken one 502, without a body`, async () => {
    const behaviours: Record<string, (call: RawCall) => Promise<void>> = {
      silent: (call) => call.gone(),
      closing: () => Promise.resolve(),
      nonsense: (call) => call.write("SSH-2.0-x\r\n\r\n"),
      switching: (call) => call.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    };
    const upstream = new RawUpstream((call) => behaviours[call.path.split("/").at(-2)!]!(call));
    await using node = await startForwarding({ exposure, upstream: upstream.url, timeoutMs: 200 });
    const ask = async (name: string) => {
      const answer = await rawRequest(node.port, requestBytes("POST", `/api/0/${name}/`, {}, "body"));
      return [name, answer?.status, answer?.body];
    };
    assertEquals(await ask("silent"), ["silent", 504, ""]);
    assertEquals(await ask("closing"), ["closing", 502, ""]);
    assertEquals(await ask("nonsense"), ["nonsense", 502, ""]);
    assertEquals(await ask("switching"), ["switching", 502, ""]);
    await upstream[Symbol.asyncDispose]();
    assertEquals(await ask("down"), ["down", 502, ""]);
    assertEquals(node.upstream.inFlight, 0);
  });

  Deno.test(`${exposure}: an answer that breaks off is not passed off as a whole one`, async () => {
    await using upstream = new RawUpstream((call) =>
      call.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    );
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    assertEquals(await rawRequest(node.port, requestBytes("GET", API, {})), null);
    await until("nothing is left", () => node.upstream.inFlight === 0);
  });

  Deno.test(`${exposure}: an answer that stalls is given up after the timeout`, async () => {
    await using upstream = new RawUpstream(async (call) => {
      await call.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
      await call.gone();
    });
    await using node = await startForwarding({ exposure, upstream: upstream.url, timeoutMs: 200 });
    assertEquals(await rawRequest(node.port, requestBytes("GET", API, {})), null);
    assertEquals(node.upstream.inFlight, 0);
  });

  Deno.test(`${exposure}: a reader that takes nothing any more is given up`, async () => {
    if (!waitsForReaders) return;
    await using upstream = new RawUpstream(async (call) => {
      await call.write(`HTTP/1.1 200 OK\r\nContent-Length: ${256 * MIB}\r\n\r\n`);
      for (let sent = 0; sent < 256; sent++) await call.write(new Uint8Array(MIB));
    });
    await using node = await startForwarding({ exposure, upstream: upstream.url, readerTimeoutMs: 300 });
    using client = await RawHttp.connect(node.port);
    await client.send(`GET ${API} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until("the upstream is let go", () => upstream.calls.length === 1 && upstream.open === 0);
    assertEquals(node.upstream.inFlight, 0);
  });

  Deno.test(`${exposure}: a client that leaves takes its request upstream with it`, async () => {
    const gone: string[] = [];
    await using upstream = new RawUpstream(async (call) => {
      if (call.path.includes("body")) { for await (const _ of call.body()); }
      await call.gone();
      gone.push(call.path);
    });
    await using node = await startForwarding({ exposure, upstream: upstream.url, timeoutMs: 60_000 });
    for (const [name, head] of [["waiting", ""], ["body", "Content-Length: 1000\r\n"]]) {
      const client = await RawHttp.connect(node.port);
      await client.send(`POST /api/0/${name}/ HTTP/1.1\r\nHost: x\r\n${head}\r\n${head && "abc"}`);
      await until("the upstream has the request", () => upstream.open === 1);
      client[Symbol.dispose]();
      await until("the upstream is let go", () => upstream.open === 0);
    }
    await until("nothing is left", () => node.upstream.inFlight === 0);
    await until("everything is counted", () => node.metrics.read(METRICS.requestsInFlight) === 0);
  });

  Deno.test(`${exposure}: an early answer ends the request, and the client hears it`, async () => {
    await using upstream = new RawUpstream(async (call) => {
      await call.answer(413, { "Connection": "close" }, "too large");
      await call.gone();
    });
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    using client = await RawHttp.connect(node.port);
    await client.send(`POST ${CHUNKS} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nabc`);
    const answer = await client.response();
    assertEquals([answer?.status, answer?.body], [413, "too large"]);
    assertEquals(answer?.headers.get("connection"), "close");
    await until("nothing is left", () => node.upstream.inFlight === 0 && upstream.open === 0);
  });

  Deno.test(`${exposure}: requests beyond the bound are refused, and later ones taken`, async () => {
    const released = Promise.withResolvers<void>();
    await using upstream = new RawUpstream(async (call) => {
      await released.promise;
      await call.answer(200, {});
    });
    await using node = await startForwarding({ exposure, upstream: upstream.url, requestsMax: 2 });
    const ask = () => rawRequest(node.port, requestBytes("GET", API, {}));
    const first = [ask(), ask()];
    await until("two are under way", () => upstream.calls.length === 2);
    const refused = await ask();
    assertEquals([refused?.status, refused?.body], [503, `{"detail":"the service is overloaded"}`]);
    assertEquals(refused?.headers.has("retry-after"), false);
    released.resolve();
    assertEquals((await Promise.all(first)).map((answer) => answer?.status), [200, 200]);
    assertEquals((await ask())?.status, 200);
  });

  Deno.test(`${exposure}: what is no API call is not passed on: section 1.4`, async () => {
    await using upstream = new RawUpstream(echo);
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const status = async (target: string, method = "GET", headers = {}) =>
      (await rawRequest(node.port, requestBytes(method, target, headers)))?.status;
    for (const path of ["/", "/api/", "//api//", "/apix/", "/js-sdk-loader/x.js", "/api/relay/x/"]) {
      assertEquals(await status(path), 404, path);
    }
    for (const path of ["/api/0/../../admin/", "/api/0/%2e%2E/x/", "/api/./x/", "/api/x/.."]) {
      assertEquals(await status(path), 404, path);
    }
    const socket = { connection: "Upgrade", upgrade: "websocket" };
    assertEquals(await status(API, "GET", socket), 400);
    assertEquals(upstream.calls.length, 0);
    assertEquals(await status("/api/42/envelope"), 200);
    assertEquals(await status("/api/embed/error-page/?dsn=x"), 200);
  });

  Deno.test(`${exposure}: with forwarding off the API is not there: section 1.4`, async () => {
    await using upstream = new RawUpstream(echo);
    await using node = await startForwarding({ exposure, upstream: upstream.url, isForwarding: false });
    const answer = await rawRequest(node.port, requestBytes("GET", API, {}));
    assertEquals([answer?.status, answer?.body], [404, ""]);
    assertEquals(upstream.calls.length, 0);
  });

  Deno.test(`${exposure}: an upstream with TLS is one like any other`, async () => {
    await using upstream = new RawUpstream(echo, true);
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const body = "a".repeat(300_000);
    const answer = await rawRequest(node.port, requestBytes("POST", API, {}, body));
    assertEquals([answer?.status, answer?.body === body], [200, true]);
    assertEquals(upstream.calls[0]!.header("host"), [`localhost:${upstream.port}`]);
  });

  Deno.test(`${exposure}: a drain waits for bodies that are on their way upstream, and for their answers`, async () => {
    await using upstream = new RawUpstream(echo);
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    using client = await RawHttp.connect(node.port);
    await client.send(`POST ${API} HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc`);
    await until("the upstream has the request", () => upstream.calls.length === 1);
    node.listener.stopAccepting();
    const waited = node.listener.waitForBodies(5000);
    await client.send("def");
    assertEquals(await waited, true);
    const closed = node.listener.close(5000);
    const answer = await client.response();
    assertEquals([answer?.status, answer?.body], [200, "abcdef"]);
    client[Symbol.dispose]();
    await closed;
  });

  Deno.test(`${exposure}: a connection goes on after what was passed on`, async () => {
    await using upstream = new RawUpstream(echo);
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    using client = await RawHttp.connect(node.port);
    for (const body of ["first", "", "third"]) {
      await client.send(requestBytes("POST", API, {}, body));
      assertEquals((await client.response())?.body, body);
    }
    await client.send(
      `POST ${API} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    );
    assertEquals((await client.response())?.body, "abc");
  });
}

async function echoLength(call: RawCall): Promise<void> {
  let received = 0;
  for await (const piece of call.body()) received += piece.length;
  await call.answer(200, {}, String(received));
}

/** Waits until a number has stopped moving. */
async function settled(value: () => number): Promise<void> {
  for (let last = -1, same = 0; same < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 40));
    same = value() === last && last > 0 ? same + 1 : 0;
    last = value();
  }
}
