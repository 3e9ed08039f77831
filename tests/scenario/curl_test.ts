/** Uploads of native crash reporters, made by curl: compressed and chunked as Crashpad's, and plain ones. */
import { assertEquals, assertMatch } from "@std/assert";
import * as zlib from "node:zlib";
import { type NodeVariant, testEachNode } from "../support/each_node.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream, type UpstreamCall } from "../support/scripted_upstream.ts";
import { sha256 } from "../support/test_cache.ts";

const EVENT_ID = "9ec79c33ec9942ab8353589fcb2e04dc";
const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const BOUNDARY = "---MultipartBoundary-vKyTYQnRgJS0Z4pAZKbKXzVoVpeIaSbU---";

const curl = await version();
if (curl === null) report("Uploads by curl are not tested: there is no curl here");

testEachNode("curl: crash reports arrive upstream with the bytes that were sent", uploadAll, {
  ignore: curl === null,
});

async function uploadAll(t: Deno.TestContext, variant: NodeVariant): Promise<void> {
  const dump = randomDump(3 * 1024 * 1024);
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ ...variant, upstream: upstream.url });
  const [dumpFile, gzipFile] = [`${node.folder}/crash.dmp`, `${node.folder}/body.gz`];
  await Deno.writeFile(dumpFile, dump);
  await Deno.writeFile(gzipFile, zlib.gzipSync(crashpadBody(dump), { level: 1 }));
  const url = (path: string): string => `${node.url}/api/1/${path}?sentry_key=${TEST_KEY}`;
  /** Runs curl and waits for what it sent. */
  const send = async (...args: string[]): Promise<{ answer: string; call: UpstreamCall }> => {
    const before = upstream.requests.length;
    const answer = await run("-w", "%{http_code} ", "--fail", ...args);
    await upstream.until(() => upstream.requests.length > before);
    return { answer, call: upstream.requests[before]! };
  };

  await t.step("Crashpad: chunked, compressed, with annotations", async () => {
    const { answer, call } = await send(
      ...[
        "--data-binary",
        `@${gzipFile}`,
        "-H",
        "Content-Encoding: gzip",
        "-H",
        "Transfer-Encoding: chunked",
      ],
      ...["-H", `Content-Type: multipart/form-data; boundary=${BOUNDARY}`, url("minidump/")],
    );
    assertDump(call, answer, dump);
    const form = new TextDecoder().decode(call.items[1]!.payload);
    assertEquals(call.items[1]!.headers.type, "form_data");
    assertMatch(form, /ptype[^]*renderer/);
  });

  await t.step("a form, announced with Expect: 100-continue, with another file and no slash", async () => {
    const { answer, call } = await send(
      ...["-F", `upload_file_minidump=@${dumpFile}`, "-F", `sentry={"event_id":"${EVENT_ID}"}`],
      ...["-F", "log=@-;filename=näme.txt;type=text/plain", url("minidump")],
    );
    assertDump(call, answer, dump);
    assertEquals(call.eventId, EVENT_ID);
    assertEquals(call.items.map(({ headers }) => headers.filename ?? headers.type), [
      "crash.dmp",
      "näme.txt",
      "form_data",
    ]);
  });

  await t.step("the dump alone", async () => {
    const { answer, call } = await send(
      ...["--data-binary", `@${dumpFile}`, "-H", "Content-Type: application/octet-stream", url("minidump/")],
    );
    assertDump(call, answer, dump);
  });

  await t.step("files for an event that was sent before", async () => {
    const { answer, call } = await send(
      ...["-F", `a=@${dumpFile}`, url(`events/${EVENT_ID}/attachments/`)],
    );
    assertEquals(answer, "201 ");
    assertEquals(call.eventId, EVENT_ID);
    assertEquals(call.items.map(({ payload }) => sha256(payload)), [sha256(dump)]);
  });
}

function assertDump(call: UpstreamCall, answer: string, dump: Uint8Array): void {
  const [id, status] = [answer.slice(0, 36), answer.slice(36).trim()];
  assertEquals(status, "200");
  assertMatch(id, UUID);
  assertEquals(call.eventId, id.replaceAll("-", ""));
  const [item] = call.items;
  assertEquals(item?.headers.attachment_type, "event.minidump");
  assertEquals(sha256(item!.payload), sha256(dump));
}

/** Half of it is noise, so that it neither vanishes nor stays as it is when it is compressed. */
function randomDump(bytes: number): Uint8Array {
  const dump = new Uint8Array(bytes);
  for (let at = 0; at < bytes / 2; at += 65_536) crypto.getRandomValues(dump.subarray(at, at + 65_536));
  dump.set(new TextEncoder().encode("MDMP"));
  return dump;
}

function crashpadBody(dump: Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  const field = (name: string, value: string): string =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const file = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="upload_file_minidump"; ` +
    `filename="6417c766.dmp"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  const head = encoder.encode(field("prod", "Shop") + field("ptype", "renderer") + file);
  const tail = encoder.encode(`\r\n--${BOUNDARY}--\r\n`);
  const body = new Uint8Array(head.length + dump.length + tail.length);
  body.set(head);
  body.set(dump, head.length);
  body.set(tail, head.length + dump.length);
  return body;
}

async function run(...args: string[]): Promise<string> {
  const command = new Deno.Command("curl", { args: ["-sS", ...args], stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  if (code !== 0) throw new Error(`curl ended with exit code ${code}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

async function version(): Promise<string | null> {
  return await run("--version").catch(() => null);
}
