/** Captured requests of real clients, sent again byte by byte: they get the answer a Relay gives, and arrive upstream. */
import { assert, assertEquals } from "@std/assert";
import * as zlib from "node:zlib";
import { goldenEntries, type GoldenEntry, goldenRequest } from "../support/golden_request.ts";
import { NodeProcess } from "../support/node_process.ts";
import { RawHttp, type RawResponse } from "../support/raw_http.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { sha256 } from "../support/test_cache.ts";
import { until } from "../support/until.ts";

/** Endpoints of later work; their captures are counted, not sent. */
const FAMILIES = ["envelope", "store"];

/** Captures that a Relay refuses; the reference says why. */
const REFUSED: ReadonlyMap<string, { status: number; reason: string }> = new Map([
  ["reencoded.multi-gzip", { status: 415, reason: "section 4.1: encodings are matched in exact lower case" }],
  ...("zstdDecompressSync" in zlib
    ? []
    : [["reencoded.zstd", { status: 415, reason: "this runtime has no zstd" }] as const]),
]);

for (const exposure of ["internet", "load_balancer"]) {
  Deno.test(`every captured envelope and store request is answered as by a Relay with exposure ${exposure} and arrives unchanged`, async (t) => {
    await replayAll(t, exposure);
  });
}

async function replayAll(t: Deno.TestContext, exposure: string): Promise<void> {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { listener: { exposure } } });
  const expected: string[] = [];

  for (const entry of goldenEntries()) {
    if (entry.method !== "POST" || !FAMILIES.includes(entry.family)) continue;
    await t.step(entry.name, async () => {
      const request = goldenRequest(entry, `127.0.0.1:${node.port}`);
      const answer = await exchange(node.port, request.bytes);
      const refused = REFUSED.get(entry.name);
      if (refused) return assertRefused(answer, refused.status);
      assertAccepted(answer, entry);
      expected.push(request.payloads.join());
    });
  }

  await t.step("all of them arrive upstream with the payloads that were captured", async () => {
    await until("all captures arrive", () => upstream.requests.length >= expected.length);
    const arrived = upstream.requests.map(({ items }) => items.map(({ payload }) => sha256(payload)).join());
    assertEquals(arrived.toSorted(), expected.toSorted());
  });

  const left = goldenEntries().filter(({ method, family }) =>
    method !== "POST" || !FAMILIES.includes(family)
  );
  report(
    `${expected.length} captures accepted, ${REFUSED.size} refused, ${left.length} of later endpoints not sent`,
  );
}

/** Ingestion reference, sections 1.2, 5.2 and 5.4. */
function assertAccepted(answer: RawResponse, entry: GoldenEntry): void {
  const eventId = entry.event_id?.replaceAll("-", "");
  assertEquals(answer.status, 200, answer.body);
  assertEquals(answer.body, eventId ? JSON.stringify({ id: eventId }) : "{}");
  assertEquals(answer.headers.get("content-type"), "application/json");
  assertEquals(answer.headers.get("access-control-allow-origin"), "*");
  assertEquals(
    answer.headers.get("access-control-expose-headers"),
    "x-sentry-error,x-sentry-rate-limits,retry-after",
  );
  assertCommon(answer);
}

/** Ingestion reference, sections 4.1 and 5.4. */
function assertRefused(answer: RawResponse, status: number): void {
  assertEquals(answer.status, status);
  assertEquals(answer.body, "");
  assert(
    answer.headers.get("accept-encoding")?.startsWith("gzip"),
    "Accept-Encoding names what is understood",
  );
  assertCommon(answer);
}

function assertCommon(answer: RawResponse): void {
  assertEquals(answer.headers.get("cross-origin-resource-policy"), "cross-origin");
  assert(answer.headers.get("server")?.startsWith("landfall/"));
}

/** Sends a request over a connection of its own; an interim answer (100 Continue) is passed over. */
async function exchange(port: number, request: Uint8Array): Promise<RawResponse> {
  using http = await RawHttp.connect(port);
  await http.send(request);
  for (;;) {
    const answer = await http.response();
    assert(answer, "the connection ended without an answer");
    if (answer.status >= 200) return answer;
  }
}
