import { assert, assertEquals, assertGreater, assertLessOrEqual, assertRejects } from "@std/assert";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { BodyEncoder } from "../../../src/upstream/body_encoding.ts";
import { Forwarder, type ForwarderOptions } from "../../../src/upstream/forwarder.ts";
import type { ClientRequest, ClientResponse } from "../../../src/upstream/http_client.ts";
import { RequestSigner } from "../../../src/upstream/request_signer.ts";
import { UpstreamError } from "../../../src/upstream/upstream_error.ts";
import { JobSource } from "../../support/job_source.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { soleTarget, type SoleTargetOptions } from "../../support/sole_target.ts";

/** Answer to the n-th request: a status, an error, or never. */
type Reply = number | UpstreamError | null;

/** Client that answers from a function. */
class FakeClient {
  readonly requests: ClientRequest[] = [];
  readonly connections = { open: 0, idle: 0 };
  reply: (request: ClientRequest, index: number) => Reply = () => 200;
  headers: Record<string, string> = {};
  #pending = new Set<(error: UpstreamError) => void>();
  isClosed = false;

  async send(request: ClientRequest, signal?: AbortSignal): Promise<ClientResponse> {
    const index = this.requests.push(request) - 1;
    const reply = this.isClosed ? new UpstreamError("aborted", "closed") : this.reply(request, index);
    if (reply === null) {
      const { promise, reject } = Promise.withResolvers<never>();
      this.#pending.add(reject);
      signal?.addEventListener("abort", () => reject(new UpstreamError("aborted", "aborted")));
      return await promise;
    }
    if (typeof reply !== "number") throw reply;
    return { status: reply, header: (name) => this.headers[name] ?? null, body: new Uint8Array(0) };
  }

  /** Fails what waits for ever. */
  failPending(error: UpstreamError): void {
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
  }

  close(): void {
    this.isClosed = true;
    this.failPending(new UpstreamError("aborted", "closed"));
  }

  get probes(): number {
    return this.requests.filter(({ method }) => method === "GET").length;
  }
}

const REFUSED = new UpstreamError("connect", "refused");

function setUp(
  options: Partial<SoleTargetOptions & Pick<ForwarderOptions, "permits">> = {},
) {
  const clock = new ManualClock();
  const source = new JobSource(clock);
  const client = new FakeClient();
  const metrics = new Metrics(METRIC_LAYOUT);
  const shared = {
    clock,
    metrics,
    maxConcurrent: 3,
    retryDelayMs: 1000,
    retryIntervalMsMax: 60_000,
    random: () => 0,
    ...options,
  };
  const targets = soleTarget({
    large: { send: () => Promise.reject(new Error("no record is large")), close() {} },
    client,
    encoder: new BodyEncoder("auto", 1024 * 1024),
    signer: new RequestSigner(null, clock),
    outageGraceMs: 10_000,
    ...shared,
  });
  const forwarder = new Forwarder({ source, targets, timing: shared, ...shared });
  const stop = async () => {
    const stopped = forwarder.stop(0);
    await clock.advance(0);
    await stopped;
    assertEquals(forwarder.state.inFlight, 0);
    assert(client.isClosed);
  };
  return { clock, source, client, metrics, forwarder, stop };
}

Deno.test("Forwarder delivers records as they come and settles them", async () => {
  const { clock, source, client, metrics, forwarder, stop } = setUp();
  forwarder.start();
  source.add(["a", "b"]);
  await clock.advance(0);
  source.add(["c"]);
  await clock.advance(0);
  assertEquals(source.log, ["a delivered", "b delivered", "c delivered"]);
  assertEquals(client.requests.map(({ path }) => path), Array(3).fill("/api/1/envelope/"));
  assertEquals(metrics.read(METRICS.forwarded, "delivered"), 3);
  assertEquals(metrics.read(METRICS.forwardInFlight), 0);
  await stop();
  await forwarder.finished;
});

Deno.test("Forwarder takes a permit for each request under way, and gives it back", async () => {
  let free = 2;
  const permits = {
    tryTake: () => free > 0 && free-- > 0,
    give: () => void free++,
  };
  const { clock, source, client, forwarder, stop } = setUp({ permits, maxConcurrent: 10 });
  client.reply = () => null;
  forwarder.start();
  source.add(["a", "b", "c"]);
  await clock.advance(0);
  assertEquals([forwarder.state.inFlight, free], [2, 0]);
  await stop();
  assertEquals(free, 2);
});

Deno.test("Forwarder has at most maxConcurrent requests under way and takes no more records than that", async () => {
  const { clock, source, client, metrics, forwarder, stop } = setUp();
  client.reply = () => null;
  source.add(["a", "b", "c", "d", "e"]);
  forwarder.start();
  await clock.advance(0);
  assertEquals([client.requests.length, source.waiting, forwarder.state.inFlight], [3, 2, 3]);
  assertEquals(metrics.read(METRICS.forwardInFlight), 3);
  await stop();
  assertEquals(source.log, []);
});

Deno.test("Forwarder settles a rate limited record with the limits", async () => {
  const { clock, source, client, forwarder, stop } = setUp();
  client.reply = () => 429;
  client.headers = { "x-sentry-rate-limits": "60:error:key" };
  source.add(["a"]);
  forwarder.start();
  await clock.advance(0);
  const result = source.settled.get("a");
  assertEquals(result?.kind === "rate_limited" ? result.limits[0]?.categories : null, ["error"]);
  assertEquals(forwarder.state.outage.kind, "reachable");
  await stop();
});

for (const status of [301, 400, 401, 403, 404, 413]) {
  Deno.test(`Forwarder puts a record the upstream answers ${status} into the dead letter at once`, async () => {
    const { clock, source, client, forwarder, stop } = setUp();
    client.reply = () => status;
    source.add(["a"]);
    forwarder.start();
    await clock.advance(0);
    assertEquals(source.log, ["a dead rejected"]);
    assertEquals(client.requests.length, 1);
    await stop();
  });
}

Deno.test("Forwarder sends a record three times before a server error is final, network errors not counted", async () => {
  const { clock, source, client, metrics, forwarder, stop } = setUp();
  const replies = [500, REFUSED, 503, 500, 500];
  client.reply = (_, index) => replies[index] ?? 200;
  source.add(["a"]);
  forwarder.start();
  await clock.advance(60_000);
  assertEquals(source.log, [
    "a retry server_error",
    "a retry network_error",
    "a retry network_error",
    "a retry server_error",
    "a dead server_error",
  ]);
  assertEquals(metrics.read(METRICS.forwardRetries), 4);
  await stop();
});

Deno.test("Forwarder waits longer before each try of a record, up to the ceiling", async () => {
  const { clock, source, client, forwarder, stop } = setUp({ outageGraceMs: 1e9, retryIntervalMsMax: 4000 });
  client.reply = (_, index) => index < 7 ? 503 : 200;
  source.add(["a"]);
  forwarder.start();
  await clock.advance(60_000);
  assertEquals(source.retries.map(({ delayMs }) => delayMs), [1000, 1500, 2250, 3375, 4000, 4000, 4000]);
  assertEquals(source.settled.get("a")?.kind, "delivered");
  await stop();
});

Deno.test("Forwarder shortens delays at random, so that nodes do not march in step", async () => {
  const { clock, source, client, forwarder, stop } = setUp({ random: () => 0.5 });
  client.reply = (_, index) => index < 1 ? 503 : 200;
  source.add(["a"]);
  forwarder.start();
  await clock.advance(5000);
  assertEquals(source.retries[0]?.delayMs, 850);
  await stop();
});

Deno.test("Forwarder does not throw the backlog at an upstream that refuses connections", async () => {
  const { clock, source, client, forwarder, stop } = setUp();
  client.reply = () => REFUSED;
  source.add(Array.from({ length: 100 }, (_, i) => `r${i}`));
  forwarder.start();
  await clock.advance(9000);
  assertLessOrEqual(client.requests.length, 15);
  assertGreater(source.waiting, 80);
  assertEquals(forwarder.state.outage.kind, "grace");
  await stop();
});

Deno.test("Forwarder goes on at once when an answer arrives after a network error", async () => {
  const { clock, source, client, forwarder, stop } = setUp({ maxConcurrent: 2 });
  client.reply = (_, index) => index === 0 ? REFUSED : index === 1 ? null : 200;
  source.add(["a", "b", "c"]);
  forwarder.start();
  await clock.advance(0);
  assertEquals([source.waiting, client.requests.length], [1, 2], "held back");
  client.failPending(
    new UpstreamError("too_large", "", { status: 200, header: () => null, body: new Uint8Array() }),
  );
  await clock.advance(0);
  assertEquals(source.log, ["a retry network_error", "b delivered", "c delivered"]);
  await stop();
});

Deno.test("Forwarder sends nothing but probes in an outage and drains once anything answers", async () => {
  const { clock, source, client, metrics, forwarder, stop } = setUp();
  client.reply = () => REFUSED;
  source.add(["a", "b", "c", "d", "e"]);
  forwarder.start();
  await clock.advance(20_000);
  assertEquals(forwarder.state.outage, { kind: "outage", sinceMs: 0 });
  assertEquals(metrics.read(METRICS.upstreamOutage), 1);
  const records = client.requests.length - client.probes;
  await clock.advance(600_000);
  assertEquals(client.requests.length - client.probes, records);
  const probes = client.probes;
  assertGreater(probes, 10);
  await clock.advance(60_000);
  assertEquals(client.probes, probes + 1, "the interval has reached its ceiling");
  client.reply = ({ method }) => method === "GET" ? 404 : 200;
  await clock.advance(70_000);
  assertEquals(forwarder.state.outage.kind, "reachable");
  assertEquals(metrics.read(METRICS.upstreamOutage), 0);
  assertEquals(source.settled.size, 5);
  await stop();
  assertEquals(clock.pending, 0);
});

Deno.test("Forwarder keeps an outage up while probes are answered 502, 503 or 504", async () => {
  const { clock, source, client, forwarder, stop } = setUp();
  const statuses = [502, 503, 504];
  client.reply = (_, index) => statuses[index % 3]!;
  source.add(["a"]);
  forwarder.start();
  await clock.advance(120_000);
  assertEquals(forwarder.state.outage.kind, "outage");
  await stop();
});

Deno.test("Forwarder ends an outage when a request that was under way is answered", async () => {
  const { clock, source, client, forwarder, stop } = setUp({ outageGraceMs: 0, maxConcurrent: 2 });
  client.reply = (_, index) => index === 0 ? null : REFUSED;
  source.add(["a", "b"]);
  forwarder.start();
  await clock.advance(100);
  assertEquals(forwarder.state.outage.kind, "outage");
  client.failPending(
    new UpstreamError("too_large", "", { status: 200, header: () => null, body: new Uint8Array() }),
  );
  await clock.advance(0);
  assertEquals(forwarder.state.outage.kind, "reachable");
  client.reply = () => 200;
  await clock.advance(5000);
  assertEquals(source.settled.size, 2);
  assertEquals(client.probes, 0);
  await stop();
});

Deno.test("Forwarder uses another encoding once the upstream answers 415, and sends the record again", async () => {
  const { source, client, forwarder, stop } = setUp({ encoder: new BodyEncoder("br", 1024 * 1024) });
  const encodingOf = ({ headers }: ClientRequest) =>
    headers.find(([name]) => name === "Content-Encoding")?.[1];
  client.reply = (request) => encodingOf(request) === "gzip" ? 200 : 415;
  forwarder.start();
  for (const [index, name] of ["a", "b"].entries()) {
    source.add([name]);
    await source.ended(index + 1);
  }
  assertEquals(source.log, ["a delivered", "b delivered"]);
  const encodings = client.requests.map(encodingOf);
  assertEquals(encodings.slice(-2), ["gzip", "gzip"]);
  assertEquals(new Set(encodings.slice(0, -1)).size, encodings.length - 1);
  await stop();
});

Deno.test("Forwarder puts a record into the dead letter that is answered 415 in every encoding", async () => {
  const { source, client, forwarder, stop } = setUp({ encoder: new BodyEncoder("gzip", 1024 * 1024) });
  client.reply = () => 415;
  source.add(["a"]);
  forwarder.start();
  await source.ended(1);
  assertEquals(source.log, ["a dead rejected"]);
  await stop();
});

Deno.test("Forwarder.stop lets requests finish within the grace time and gives up the rest unsettled", async () => {
  const { clock, source, client, forwarder } = setUp();
  client.reply = (_, index) => index === 0 ? 200 : null;
  source.add(["a", "b"]);
  forwarder.start();
  await clock.advance(0);
  let isStopped = false;
  const stopped = forwarder.stop(3000).then(() => isStopped = true);
  source.add(["c"]);
  await clock.advance(2999);
  assertEquals([isStopped, client.requests.length], [false, 2]);
  await clock.advance(1);
  await stopped;
  assertEquals(source.log, ["a delivered"]);
  assertEquals(source.waiting, 1);
  assertEquals(clock.pending, 0);
});

Deno.test("Forwarder.stop returns as soon as the last request has ended", async () => {
  const { clock, source, client, forwarder } = setUp();
  client.reply = () => null;
  source.add(["a"]);
  forwarder.start();
  await clock.advance(0);
  const stopped = forwarder.stop(3000);
  client.failPending(REFUSED);
  await clock.advance(0);
  await stopped;
  assertEquals(source.log, ["a retry network_error"]);
});

Deno.test("Forwarder.finished rejects when the source fails", async () => {
  const { source, forwarder, stop } = setUp();
  source.error = new Error("disk");
  forwarder.start();
  await assertRejects(() => forwarder.finished, Error, "disk");
  await stop();
});

Deno.test("Forwarder shows its last error", async () => {
  const { clock, source, client, forwarder, stop } = setUp();
  assertEquals(forwarder.state.lastError, null);
  client.reply = () => REFUSED;
  source.add(["a"]);
  forwarder.start();
  await clock.advance(0);
  assertEquals(forwarder.state.lastError, { atMs: clock.now(), message: "connect: refused" });
  await stop();
});

for (const days of [1, -1, 3650]) {
  Deno.test(`Forwarder: a wall clock set by ${days} days changes no request, no wait and no sent_at`, async () => {
    const run = async (jumpMs: number) => {
      const { clock, source, client, forwarder, stop } = setUp({ outageGraceMs: 90_000 });
      const sent: (readonly [atMs: number, method: string, body: string])[] = [];
      client.reply = ({ method, body }, index) => {
        sent.push([clock.monotonic(), method, new TextDecoder().decode(body ?? undefined)]);
        return clock.monotonic() < 420_000 ? REFUSED : index % 3 === 0 ? 500 : 200;
      };
      const header = JSON.stringify({ sent_at: new Date(clock.now()).toISOString() });
      const body = new TextEncoder().encode(`${header}\n{"type":"event","length":2}\n{}\n`);
      forwarder.start();
      source.add(["a", "b", "c"], { body });
      for (let minute = 0; minute < 15; minute++) {
        await clock.advance(30_000);
        if (minute === 2 || minute === 9) clock.jump(jumpMs);
        source.add([`d${minute}`], { body });
        await clock.advance(30_000);
      }
      assertEquals(source.settled.size + source.dead.size, 18);
      await stop();
      source.close();
      return { sent, log: source.log, retries: source.retries };
    };
    const undisturbed = await run(0);
    assertEquals(await run(days * 86_400_000), undisturbed);
    // Held for seven minutes.
    assert(undisturbed.sent.some(([, , body]) => body.includes("T00:07:")), "an envelope was aged");
    assert(undisturbed.sent.some(([, method]) => method === "GET"), "there was an outage");
  });
}
