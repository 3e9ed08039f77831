/**
 * The distant Sentry: takes envelopes over TLS, from clients and from nodes, works on each for as long as its argument says
 * (ms), answers with the event's id and remembers it. Prints its port; answers each line it reads with the ids that have
 * arrived, in order, and what it did not expect, as JSON.
 */
import { decodeContent } from "../../support/decode_content.ts";
import { splitEnvelope } from "../../support/split_envelope.ts";
import { TEST_CERTIFICATE, TEST_KEY } from "../../support/test_certificate.ts";
import { TextLineStream } from "../support/text_lines.ts";

const [workMs = "0"] = Deno.args;
const ids: string[] = [];
const unexpected: string[] = [];

async function take(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const bytes = await request.bytes();
  if (request.method === "GET" && pathname === "/api/0/relays/live/") return Response.json({});
  if (request.method !== "POST" || !/^\/api\/\d+\/envelope\/$/.test(pathname)) {
    unexpected.push(`${request.method} ${pathname}`);
    return Response.json({ detail: "not found" }, { status: 404 });
  }
  const { header } = splitEnvelope(decodeContent(bytes, request.headers.get("content-encoding") ?? ""));
  await new Promise((resolve) => setTimeout(resolve, Number(workMs)));
  const id = header.event_id;
  if (typeof id === "string") ids.push(id);
  return Response.json({ id });
}

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  cert: TEST_CERTIFICATE,
  key: TEST_KEY,
  onListen() {},
}, take);
// deno-lint-ignore no-console
console.log(server.addr.port);
const questions = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const _ of questions) {
  // deno-lint-ignore no-console
  console.log(JSON.stringify({ ids, unexpected }));
}
Deno.exit(0);
