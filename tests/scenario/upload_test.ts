/** The TUS pair, over both engines: ingestion reference, section 1.5. */
import { assertEquals } from "@std/assert";
import { startForwarding } from "../support/forward_fixture.ts";
import { AUTH, EXPOSURES } from "../support/listener_fixture.ts";
import { rawRequest, requestBytes } from "../support/raw_http.ts";
import { type RawCall, RawUpstream } from "../support/raw_upstream.ts";

const CREATE = `/api/42/upload/?${AUTH}`;
const PATCH = `/api/42/upload/abc/?length=3&signature=x&${AUTH}`;
const TUS = { "tus-resumable": "1.0.0" };
const CHUNK = { ...TUS, "content-type": "application/offset+octet-stream", "upload-offset": "0" };
const CORS = "access-control-allow-origin";
const json = (detail: string) => JSON.stringify({ detail });
const lengths = (length: string, deferred: string) =>
  json(
    `expected Upload-Length or Upload-Defer-Length=1, got Upload-Length=${length}, Upload-Defer-Length=${deferred}`,
  );

type Row = readonly [
  name: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  status: number,
  body: string,
];

// deno-fmt-ignore
const REFUSED: readonly Row[] = [
  ["no key", "POST", "/api/42/upload/", { ...TUS, "upload-length": "3" }, 401, json("missing authorization information")],
  ["no version", "POST", CREATE, { "upload-length": "3" }, 412, json("expected Tus-Resumable: 1.0.0, got: (missing)")],
  ["another version", "POST", CREATE, { "tus-resumable": "0.2.0" }, 412, json("expected Tus-Resumable: 1.0.0, got: 0.2.0")],
  ["no length", "POST", CREATE, TUS, 400, lengths("None", "None")],
  ["both lengths", "POST", CREATE, { ...TUS, "upload-length": "3", "upload-defer-length": "1" }, 400, lengths("Some(3)", "Some(1)")],
  ["a wrong deferral", "POST", CREATE, { ...TUS, "upload-defer-length": "2" }, 400, lengths("None", "Some(2)")],
  ["a length that is none", "POST", CREATE, { ...TUS, "upload-length": "x" }, 400, lengths("None", "None")],
  ["creation with upload", "POST", CREATE, { ...TUS, "upload-length": "3", "content-type": "application/offset+octet-stream" }, 415, json("expected Content-Type: none, got: application/offset+octet-stream")],
  ["too long", "POST", CREATE, { ...TUS, "upload-length": "1048577" }, 413, "length limit exceeded"],
  ["a body on creation", "POST", CREATE, { ...TUS, "upload-length": "3", "content-length": "3" }, 413, "length limit exceeded"],
  ["a project that is none", "POST", `/api/x/upload/?${AUTH}`, { ...TUS, "upload-length": "3" }, 400, ""],
  ["PATCH without a key", "PATCH", "/api/42/upload/abc/", CHUNK, 401, json("missing authorization information")],
  ["PATCH without a version", "PATCH", PATCH, { ...CHUNK, "tus-resumable": "" }, 412, json("expected Tus-Resumable: 1.0.0, got: ")],
  ["PATCH of another type", "PATCH", PATCH, { ...CHUNK, "content-type": "text/plain" }, 415, json("expected Content-Type: application/offset+octet-stream, got: text/plain")],
  ["PATCH without an offset", "PATCH", PATCH, { ...TUS, "content-type": "application/offset+octet-stream" }, 400, json("expected Upload-Offset >= 0")],
  ["PATCH with a negative offset", "PATCH", PATCH, { ...CHUNK, "upload-offset": "-1" }, 400, json("expected Upload-Offset >= 0")],
  ["PATCH that is too long", "PATCH", PATCH, { ...CHUNK, "content-length": "1048577" }, 413, "length limit exceeded"],
  ["GET of the creation route", "GET", CREATE, {}, 405, ""],
];

async function created(call: RawCall, location: string): Promise<void> {
  await call.answer(201, {
    "Location": location,
    "Tus-Resumable": "1.0.0",
    "Tus-Extension": "creation",
    "Access-Control-Allow-Origin": "https://upstream.example",
    "Vary": "cookie",
  });
}

for (const exposure of EXPOSURES) {
  Deno.test(`${exposure}: uploads that break the protocol are refused here: section 1.5`, async () => {
    await using upstream = new RawUpstream(() => Promise.resolve());
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    for (const [name, method, path, headers, status, body] of REFUSED) {
      const data = "content-length" in headers ? "abc" : "";
      const answer = await rawRequest(node.port, requestBytes(method, path, headers, data));
      assertEquals(answer?.status, status, name);
      if (body !== "") assertEquals(answer?.body, body, name);
      assertEquals(answer?.headers.get(CORS), "*", name);
      assertEquals(answer?.headers.get("tus-version"), status === 412 ? "1.0.0" : undefined, name);
    }
    assertEquals(upstream.calls.length, 0);
  });

  Deno.test(`${exposure}: a created upload goes on at the node: section 1.5`, async () => {
    const locations: string[] = [];
    await using upstream = new RawUpstream((call) => created(call, locations.shift()!));
    await using node = await startForwarding({
      exposure,
      upstream: upstream.url,
      hostHeader: "sentry.example",
    });
    const target = "/api/42/upload/abc/?length=3&signature=s%2F";
    const expected = [
      [target, target],
      [`${upstream.url.slice(0, -1)}${target}`, target],
      [`https://sentry.example${target}`, target],
      [`https://elsewhere.example${target}`, `https://elsewhere.example${target}`],
    ] as const;
    locations.push(...expected.map(([location]) => location));
    for (const [index, [, location]] of expected.entries()) {
      const path = index === 0 ? `/api/42/upload?${AUTH}` : CREATE;
      const length = index === 1 ? { "upload-defer-length": "1" } : { "upload-length": "1048576" };
      const headers = { ...TUS, ...length, "upload-metadata": "sentry e30=" };
      const answer = await rawRequest(node.port, requestBytes("POST", path, headers));
      assertEquals([answer?.status, answer?.headers.get("location")], [201, location]);
      assertEquals(answer?.headers.get("tus-extension"), "creation");
      assertEquals(answer?.headers.get(CORS), "*");
      assertEquals(answer?.headers.get("vary")?.includes("cookie"), false);
      const call = upstream.calls[index]!;
      assertEquals([call.method, call.path], ["POST", path]);
      assertEquals([call.header("upload-metadata"), call.header("content-length")], [["sentry e30="], ["0"]]);
    }
  });

  Deno.test(`${exposure}: creation is tried again after a 503, three times in all: section 1.5`, async () => {
    const statuses = [503, 503, 201, 503, 503, 503, 500];
    await using upstream = new RawUpstream((call) => call.answer(statuses.shift()!, {}, "x"));
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const ask = async () =>
      (await rawRequest(node.port, requestBytes("POST", CREATE, { ...TUS, "upload-length": "3" })))?.status;
    assertEquals([await ask(), await ask(), await ask()], [201, 503, 500]);
    assertEquals([upstream.calls.length, node.upstream.inFlight], [7, 0]);
  });

  Deno.test(`${exposure}: bytes of an upload are streamed: section 1.5`, async () => {
    await using upstream = new RawUpstream(async (call) => {
      const body = await call.text();
      await call.answer(body === "conflict" ? 409 : 204, { "Upload-Offset": String(body.length), ...TUS });
    });
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    const ask = (body: string) => rawRequest(node.port, requestBytes("PATCH", PATCH, CHUNK, body));
    const answer = await ask("x".repeat(1024 * 1024));
    assertEquals([answer?.status, answer?.headers.get("upload-offset")], [204, "1048576"]);
    assertEquals((await ask("conflict"))?.status, 409);
    const call = upstream.calls[0]!;
    assertEquals([call.method, call.path], ["PATCH", PATCH]);
    assertEquals(call.header("content-type"), ["application/offset+octet-stream"]);
  });

  Deno.test(`${exposure}: without an upstream uploads are 502, with CORS headers`, async () => {
    const upstream = new RawUpstream(() => Promise.resolve());
    await using node = await startForwarding({ exposure, upstream: upstream.url });
    await upstream[Symbol.asyncDispose]();
    const answer = await rawRequest(node.port, requestBytes("PATCH", PATCH, CHUNK, "abc"));
    assertEquals([answer?.status, answer?.body, answer?.headers.get(CORS)], [502, "", "*"]);
  });
}
