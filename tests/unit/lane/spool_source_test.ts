import { gzipSync } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { SpoolSource } from "../../../src/lane/spool_source.ts";
import { Admission } from "../../../src/projects/admission.ts";
import { OutcomeLedger } from "../../../src/outcomes/outcome_ledger.ts";
import { ItemPolicy } from "../../../src/projects/item_policy.ts";
import { QuotaCounters } from "../../../src/projects/quotas/quota_counters.ts";
import { projectDocument, projectStates } from "../../../src/projects/project_state.ts";
import { type ProjectSnapshot, ProjectTable } from "../../../src/projects/project_table.ts";
import { RateLimitTable } from "../../../src/projects/rate_limit_table.ts";
import { concatBytes } from "../../../src/core/bytes.ts";
import { decodeChunks } from "../../../src/protocol/content_coding.ts";
import { encodeRequestMeta } from "../../../src/protocol/request_meta.ts";
import { DeadLetter } from "../../../src/spool/dead_letter.ts";
import { encodeLargeBody } from "../../../src/spool/large_body.ts";
import type { SpoolRecord } from "../../../src/spool/record.ts";
import { METRICS } from "../../../src/telemetry/catalogue.ts";
import { BodyEncoder } from "../../../src/upstream/body_encoding.ts";
import { errorMeta } from "../../support/record_meta.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { closePartition, openPartition, PARTITION } from "../../support/spool_fixture.ts";

const DAY_MS = 86_400_000;
const STARTED_MS = 1_700_000_000_000;
const A = "a".repeat(32);
const B = "b".repeat(32);
const hashOf = (key: string): number => key.charCodeAt(0);
const DELIVERED = { kind: "delivered", status: 200 } as const;
const FAILED = { kind: "server_error", status: 500, message: "HTTP 500" } as const;

/** Record number `n` of a project. */
function recordOf(key: string, n: number, receivedAtMs = STARTED_MS): SpoolRecord {
  const body = new TextEncoder().encode(`{}\n{"type":"event"}\n{"n":${n}}\n`);
  return {
    receivedAtMs,
    projectHash: hashOf(key),
    categoryBits: [0, 0],
    meta: encodeRequestMeta(errorMeta(key)),
    body: [body],
  };
}

const ALL: ProjectSnapshot = { unknown: "forward", overrideProjectIds: false, states: [] };
/** Knows these keys; what is sent for others waits. */
const knowing = (...keys: string[]): ProjectTable =>
  new ProjectTable({
    unknown: "wait",
    overrideProjectIds: false,
    states: keys.flatMap((publicKey) =>
      projectStates(projectDocument.parse({ projectId: 1, publicKeys: [{ publicKey }] }))
    ),
  });

/** Knows this key, whose project does not want errors that are boring. */
const filtering = (publicKey: string): ProjectTable =>
  new ProjectTable({
    unknown: "wait",
    overrideProjectIds: false,
    states: projectStates(projectDocument.parse({
      projectId: 1,
      publicKeys: [{ publicKey }],
      config: { filterSettings: { errorMessages: { patterns: ["*boring*"] } } },
    })),
  });

async function fixture(projects: ProjectTable) {
  const storage = new SimStorage({});
  const partition = await openPartition(storage, { segmentBytesMax: 20_000, chunkBytes: 4096 });
  const { reader, budget, clock, metrics } = partition;
  const deadLetter = await DeadLetter.open({
    storage,
    folder: PARTITION,
    budget,
    clock,
    metrics,
    bytesMax: 1 << 20,
  });
  const admission = new Admission(projects, new RateLimitTable());
  const wanted: string[] = [];
  const source = new SpoolSource({
    reader,
    deadLetter,
    admission,
    encoder: new BodyEncoder("identity", 1 << 20),
    clock,
    metrics,
    ledger: new OutcomeLedger(metrics, false),
    policy: new ItemPolicy(new QuotaCounters()),
    recordAgeMsMax: DAY_MS,
    largeConcurrentMax: 2,
    onLimits: () => {},
    onWanted: (key) => wanted.push(key),
  });
  const append = (...records: SpoolRecord[]) =>
    Promise.all(records.map((record) => partition.writer.append(record)));
  /** Appends a record whose body has a file of its own. */
  const appendLarge = async (key: string, text: string, contentEncoding: "" | "gzip" = "") => {
    const upload = await partition.writer.openLarge();
    const plain = new TextEncoder().encode(text);
    await upload.write([contentEncoding === "gzip" ? new Uint8Array(gzipSync(plain)) : plain]);
    const body = [encodeLargeBody(await upload.seal())];
    const meta = encodeRequestMeta({ ...errorMeta(key), contentEncoding });
    await append({ ...recordOf(key, 0), meta, body, isLarge: true });
    upload.keep();
  };
  /** All jobs there are now. */
  const jobs = async () => {
    const found = [];
    for (let job = await source.next(); job; job = await source.next()) found.push(job);
    return found;
  };
  return {
    ...partition,
    storage,
    source,
    admission,
    wanted,
    append,
    appendLarge,
    jobs,
    async [Symbol.asyncDispose]() {
      await deadLetter.close();
      await closePartition(partition);
    },
  };
}

/** What would be sent, decoded. */
async function sentOf({ stream, meta }: Job): Promise<string> {
  const decoded = decodeChunks(stream!.chunks(), meta.contentEncoding);
  const chunks = await Array.fromAsync(decoded, (chunk) => chunk.slice());
  return new TextDecoder().decode(concatBytes(chunks));
}

type Job = Awaited<ReturnType<Awaited<ReturnType<typeof fixture>>["jobs"]>>[number];
const keysOf = (jobs: readonly Job[]): string[] => jobs.map(({ meta }) => meta.key);
const numberOf = ({ body }: Job): number => JSON.parse(new TextDecoder().decode(body).split("\n")[2]!).n;
const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

Deno.test("SpoolSource: a project without a state waits, others go on; its state releases it in order", async () => {
  await using all = await fixture(knowing(B));
  const { append, jobs, wanted, source, admission, reader, metrics, control } = all;
  await append(...range(300).flatMap((n) => [recordOf(A, n), ...n % 100 === 0 ? [recordOf(B, n)] : []]));
  const others = await jobs();
  assertEquals(keysOf(others), [B, B, B]);
  assertEquals(wanted, [A]);
  assertEquals([reader.held.projects, reader.held.records], [1, 300]);
  assertEquals([metrics.read(METRICS.spoolHeldProjects), metrics.read(METRICS.spoolHeld)], [1, 300]);
  assertEquals(control.waitingRecords, 303);
  for (const job of others) source.settle(job, DELIVERED);

  admission.projects = knowing(B, "c".repeat(32));
  source.projectsChanged();
  assertEquals(await jobs(), []);
  assertEquals(wanted, [A, A]);

  admission.projects = knowing(A, B);
  source.projectsChanged();
  const released = await jobs();
  assertEquals(released.map(numberOf), range(300));
  assertEquals([reader.held.records, metrics.read(METRICS.spoolHeld)], [0, 0]);
  for (const job of released) source.settle(job, DELIVERED);
  assertEquals(control.waitingRecords, 0);
});

Deno.test("SpoolSource: what waits for a state is dropped at the age limit, counted, and leaves the disk", async () => {
  await using all = await fixture(knowing());
  const { append, jobs, clock, metrics, budget, reader, storage } = all;
  await append(...range(500).map((n) => recordOf(A, n)));
  assertEquals(await jobs(), []);
  const bytes = budget.bytesUsed;
  const reads = storage.calls;
  for (let hour = 0; hour < 23; hour++) {
    await clock.advance(DAY_MS / 24);
    assertEquals(await jobs(), []);
  }
  // Nothing is read while it waits.
  assert(storage.calls - reads < 50, `${storage.calls - reads} calls`);
  assertEquals([reader.held.records, budget.bytesUsed], [500, bytes]);
  await clock.advance(DAY_MS / 24 * 2);
  assertEquals(await jobs(), []);
  await clock.advance(1000);
  assertEquals(metrics.read(METRICS.outcomes, "invalid", "timestamp", "error"), 500);
  assertEquals([reader.held.projects, reader.held.records], [0, 0]);
  assert(budget.bytesUsed < 20_000, `${budget.bytesUsed} bytes`);
});

Deno.test("SpoolSource: two keys of one hash only wait for each other's state", async () => {
  await using all = await fixture(knowing(B));
  const { append, jobs, source, admission } = all;
  const twin = { ...recordOf(B, 1), projectHash: hashOf(A) };
  await append(recordOf(A, 0), twin, recordOf(A, 2));
  assertEquals(await jobs(), []);
  admission.projects = knowing(A, B);
  source.projectsChanged();
  assertEquals((await jobs()).map(numberOf), [0, 1, 2]);
});

Deno.test("SpoolSource: a project whose records fail is held back; nobody waits for it and none of it is lost", async () => {
  await using all = await fixture(new ProjectTable(ALL));
  const { append, source, clock, reader, metrics } = all;
  await append(...range(1000).map((n) => recordOf(A, n)), recordOf(B, 0));
  const ends = new Set<number>();
  let parkedMost = 0;
  let tries = 0;
  let triesBeforeB = 0;
  while (ends.size < 1000) {
    const job = await source.next();
    if (job === null) {
      await clock.advance(1000);
      continue;
    }
    if (job.meta.key === B) {
      triesBeforeB = tries;
      source.settle(job, DELIVERED);
      continue;
    }
    tries++;
    if (job.serverErrors < 2) source.retryLater(job, 1000 * 2 ** job.attempts, FAILED);
    else {
      await source.deadLetter(job, FAILED);
      ends.add(numberOf(job));
    }
    parkedMost = Math.max(parkedMost, reader.inHand);
  }
  assertEquals([ends.size, tries], [1000, 3000]);
  assert(parkedMost <= 70, `${parkedMost} parked`);
  assert(triesBeforeB < 70, `${triesBeforeB} tries`);
  assertEquals(metrics.read(METRICS.spoolHeld), 0);
});

Deno.test("SpoolSource: records that wait for another try outlive a disk that cannot be read, and hold nobody up", async () => {
  await using all = await fixture(new ProjectTable(ALL));
  const { append, jobs, source, clock, storage, metrics, control, reader } = all;
  await append(...range(3).map((n) => recordOf(A, n)));
  const first = await jobs();
  for (const job of first) source.retryLater(job, 1000, FAILED);
  storage.fault = ({ name }) => name === "read" ? "io" : null;
  await clock.advance(1000);
  assertEquals(await jobs(), []);
  storage.fault = () => null;
  await append(recordOf(B, 9));
  await clock.advance(1000);
  assertEquals((await jobs()).map(numberOf), [9]);
  await clock.advance(10_000);
  const again = (await jobs()).toSorted((a, b) => numberOf(a) - numberOf(b));
  assertEquals(again.map((job) => [numberOf(job), job.attempts]), [[0, 1], [1, 1], [2, 1]]);
  assertEquals([metrics.read(METRICS.spoolCorrupt), control.waitingRecords], [0, 4]);

  // What is damaged meanwhile is lost, alone and counted.
  for (const job of again) source.retryLater(job, 1000, FAILED);
  const [file] = [...storage.files].filter(([path]) => path.endsWith(".seg")).map(([, file]) => file);
  file!.content = file!.content.slice();
  const { offset, bytes } = again[1]!.position;
  file!.content[offset + bytes - 3]! ^= 1;
  await clock.advance(1000);
  assertEquals((await jobs()).map(numberOf).sort(), [0, 2]);
  assertEquals([metrics.read(METRICS.spoolCorrupt), reader.inHand], [1, 3]);
});

for (const [how, jumpMs] of [["forward", DAY_MS], ["forward", 3650 * DAY_MS], ["back", -DAY_MS]] as const) {
  const days = Math.abs(jumpMs) / DAY_MS;

  Deno.test(`SpoolSource: a clock set ${how} by ${days} days makes nothing old, and keeps nothing for ever`, async () => {
    await using all = await fixture(knowing(B));
    const { append, jobs, clock, metrics, reader } = all;
    await append(recordOf(A, 0), recordOf(B, 1), recordOf(B, 2));
    assertEquals(numberOf((await all.source.next())!), 1);
    reader.times.look();
    clock.jump(jumpMs);
    await append(recordOf(A, 3, clock.now()), recordOf(B, 4, clock.now()));
    assertEquals((await jobs()).map(numberOf), [2, 4]);
    assertEquals(reader.held.records, 2);
    // What is held is dropped at its true age.
    await clock.advance(DAY_MS);
    assertEquals(await jobs(), []);
    assertEquals([reader.held.records, metrics.read(METRICS.outcomes, "invalid", "timestamp", "error")], [
      2,
      0,
    ]);
    await clock.advance(DAY_MS / 32);
    assertEquals(await jobs(), []);
    assertEquals([reader.held.records, metrics.read(METRICS.outcomes, "invalid", "timestamp", "error")], [
      0,
      2,
    ]);
  });

  Deno.test(`SpoolSource: a record in hand or to be tried again is as old as it is after a jump ${how} by ${days} days`, async () => {
    await using all = await fixture(new ProjectTable(ALL));
    const { append, clock, source } = all;
    await append(recordOf(A, 0), recordOf(A, 1));
    await clock.advance(60_000);
    const [first, second] = await all.jobs();
    clock.jump(jumpMs);
    const heldMs = (job: Job): number => clock.monotonic() - job.receivedMs;
    source.retryLater(first!, 5000, FAILED);
    await clock.advance(4999);
    assertEquals(await source.next(), null);
    await clock.advance(1);
    const again = (await source.next())!;
    assertEquals([numberOf(again), heldMs(again), heldMs(second!)], [0, 65_000, 65_000]);
  });
}

Deno.test("SpoolSource: large records take turns among themselves, and nothing small waits for one", async () => {
  await using all = await fixture(new ProjectTable(ALL));
  const { append, appendLarge, jobs, source, clock } = all;
  const text = (n: number): string => `{}\n{"type":"attachment"}\n${n}\n`;
  for (let n = 0; n < 4; n++) await appendLarge(A, text(n));
  await append(recordOf(A, 7), recordOf(B, 8));
  const first = await jobs();
  const large = first.filter(({ stream }) => stream);
  assertEquals(await Promise.all(large.map(sentOf)), [text(0), text(1)]);
  assertEquals(first.filter(({ stream }) => !stream).map(numberOf).sort(), [7, 8]);

  // A turn that comes up wakes whoever waits, also when it came up before.
  const waiting = source.wait(new AbortController().signal);
  source.retryLater(large[0]!, 1000, FAILED);
  await waiting;
  const [third, ...more] = await jobs();
  assertEquals([await sentOf(third!), more.length], [text(2), 0]);
  source.lost(large[1]!);
  await source.wait(new AbortController().signal);
  const [fourth] = await jobs();
  assertEquals(await sentOf(fourth!), text(3));

  // One that is due again finds no turn, and gets the next.
  await clock.advance(1000);
  assertEquals(await jobs(), []);
  await source.deadLetter(third!, FAILED);
  const [again] = await jobs();
  assertEquals([await sentOf(again!), again!.attempts], [text(0), 1]);
  source.settle(fourth!, DELIVERED);
  source.settle(again!, DELIVERED);
  for (const job of first) if (!job.stream) source.settle(job, DELIVERED);
  assertEquals([await jobs(), all.reader.inHand], [[], 0]);
});

Deno.test("SpoolSource: a project of which many large records wait is on hold, and goes on as they get their turns", async () => {
  await using all = await fixture(new ProjectTable(ALL));
  const { append, appendLarge, source, reader } = all;
  for (let n = 0; n < 100; n++) await appendLarge(A, `{}\n{"type":"attachment"}\n${n}\n`);
  await append(recordOf(A, 7), recordOf(B, 8));
  const order: (string | number)[] = [];
  let handMost = 0;
  for (const queue: Job[] = [];;) {
    for (let job = await source.next(); job; job = await source.next()) queue.push(job);
    handMost = Math.max(handMost, reader.inHand);
    const job = queue.shift();
    if (!job) break;
    order.push(job.stream ? (await sentOf(job)).split("\n")[2]! : numberOf(job));
    source.settle(job, DELIVERED);
  }
  assertEquals(order.filter((n) => typeof n === "string").map(Number).sort((a, b) => a - b), range(100));
  assert(order.indexOf(8) < 5, `${order}`);
  assertEquals([order.length, reader.inHand], [102, 0]);
  assert(handMost <= 70, `${handMost}`);
});

for (const contentEncoding of ["", "gzip"] as const) {
  Deno.test(`SpoolSource: a large record (${contentEncoding || "identity"}) that waited for its project has its rules asked once`, async () => {
    await using all = await fixture(knowing());
    const { appendLarge, jobs, source, admission, metrics, clock } = all;
    const crash = `{"type":"event"}\n{"exception":{"values":[{"type":"Error","value":"boring"}]}}\n`;
    const other = `{"type":"event"}\n{"exception":{"values":[{"type":"Error","value":"other"}]}}\n`;
    const report = `{"type":"client_report"}\n{}\n`;
    await appendLarge(A, `{}\n${crash}{"type":"attachment","length":3}\nabc\n${report}`, contentEncoding);
    await appendLarge(A, `{}\n${other}`, contentEncoding);
    assertEquals(await jobs(), []);
    admission.projects = filtering(A);
    source.projectsChanged();
    const found = await jobs();
    assertEquals(await Promise.all(found.map(sentOf)), [`{}\n${report}`, `{}\n${other}`]);
    const counted = (): number[] =>
      (["error", "attachment"] as const).map((category) =>
        metrics.read(METRICS.outcomes, "filtered", "error-message", category)
      );
    assertEquals(counted(), [1, 3]);
    source.retryLater(found[0]!, 1000, FAILED);
    await clock.advance(1000);
    const [again] = await jobs();
    assertEquals(await sentOf(again!), `{}\n${report}`);
    assertEquals(counted(), [1, 3]);
  });
}

Deno.test("SpoolSource: a whole body that waited for its state is asked for filters and quotas, and counted once", async () => {
  await using all = await fixture(knowing(B));
  const { append, jobs, source, admission, metrics, clock, control } = all;
  const spans = (remoteAddr: string): SpoolRecord => ({
    ...recordOf(A, 0),
    meta: encodeRequestMeta({
      ...errorMeta(A),
      remoteAddr,
      quantities: [["span", 1]],
      passthrough: { path: "/api/1/integration/otlp/v1/traces", contentType: "application/json" },
    }),
  });
  await append(spans("10.0.0.1"), spans("192.0.2.1"), spans("192.0.2.2"), spans("192.0.2.3"));
  assertEquals(await jobs(), []);
  admission.projects = new ProjectTable({
    unknown: "wait",
    overrideProjectIds: false,
    states: projectStates(projectDocument.parse({
      projectId: 1,
      publicKeys: [{ publicKey: A }],
      config: {
        filterSettings: { clientIps: { blacklistedIps: ["10.0.0.0/8"] } },
        quotas: [{ id: "q", categories: ["span"], limit: 2, window: 86_400, reasonCode: "spent" }],
      },
    })),
  });
  source.projectsChanged();
  const sent = await jobs();
  assertEquals(sent.map(({ meta }) => meta.remoteAddr), ["192.0.2.1", "192.0.2.2"]);
  assertEquals(metrics.read(METRICS.outcomes, "filtered", "ip-address", "span"), 1);
  assertEquals(metrics.read(METRICS.outcomes, "rate_limited", "spent", "span"), 1);
  // Another try of what was admitted is not held against the quota again, which is spent.
  source.retryLater(sent[0]!, 1000, FAILED);
  source.settle(sent[1]!, DELIVERED);
  await clock.advance(1000);
  const again = await jobs();
  assertEquals(again.map(({ meta }) => meta.remoteAddr), ["192.0.2.1"]);
  source.settle(again[0]!, DELIVERED);
  assertEquals(control.waitingRecords, 0);
});

Deno.test("SpoolSource: of logs that waited for their project those filtered fall, once, and stay so over another try", async () => {
  await using all = await fixture(knowing());
  const { append, jobs, source, admission, metrics, clock, control } = all;
  const log = (release: string) => ({ attributes: { "sentry.release": { type: "string", value: release } } });
  const logsOf = (...releases: string[]): SpoolRecord => {
    const lines = [{}, { type: "log", item_count: releases.length }, { items: releases.map(log) }];
    const quantities = [["log_byte", 1], ["log_item", releases.length]] as const;
    return {
      ...recordOf(A, 0),
      body: [new TextEncoder().encode(`${lines.map((line) => JSON.stringify(line)).join("\n")}\n`)],
      meta: encodeRequestMeta({ ...errorMeta(A), quantities }),
    };
  };
  const filteringOf = (releases: string[]) =>
    new ProjectTable({
      unknown: "wait",
      overrideProjectIds: false,
      states: projectStates(projectDocument.parse({
        projectId: 1,
        publicKeys: [{ publicKey: A }],
        config: { filterSettings: { releases: { releases } } },
      })),
    });
  await append(logsOf("1", "2", "1"), logsOf("1"), logsOf("2"));
  assertEquals(await jobs(), []);
  admission.projects = filteringOf(["1"]);
  source.projectsChanged();
  const sent = await jobs();
  const bodyOf = ({ body }: Job): unknown[] =>
    new TextDecoder().decode(body).trim().split("\n").slice(1).map((line) => JSON.parse(line));
  const left = { items: [log("2")] };
  const header = { type: "log", item_count: 1, length: JSON.stringify(left).length };
  assertEquals(sent.map(bodyOf), [[header, left], [{ type: "log", item_count: 1 }, left]]);
  assertEquals(sent[0]!.meta.quantities, [["log_byte", header.length], ["log_item", 1]]);
  const counted = (): number => metrics.read(METRICS.outcomes, "filtered", "release-version", "log_item");
  assertEquals(counted(), 3);
  for (const job of sent) source.retryLater(job, 1000, FAILED);
  // Rules that changed since are not asked: what was decided stays.
  admission.projects = filteringOf(["*"]);
  await clock.advance(1000);
  const again = await jobs();
  assertEquals([again.map(bodyOf), counted()], [sent.map(bodyOf), 3]);
  for (const job of again) source.settle(job, DELIVERED);
  assertEquals(control.waitingRecords, 0);
});

const ROOT = "f".repeat(32);
const TRACE = "0123456789abcdef0123456789abcdef";

/** A transaction of project A in a trace that began in the project of `root`. */
function transactionOf(environment: string, n: number, root = ROOT): SpoolRecord {
  const trace = { trace_id: TRACE, public_key: root, environment };
  const lines = [{ trace }, { type: "transaction" }, { n }].map((line) => JSON.stringify(line));
  const quantities = [["transaction", 1], ["transaction_indexed", 1]] as const;
  return {
    ...recordOf(A, n),
    body: [new TextEncoder().encode(`${lines.join("\n")}\n`)],
    meta: encodeRequestMeta({ ...errorMeta(A), quantities, rootKey: root }),
  };
}

/** Knows project A, which has no rules, and these roots, that want nothing of environment `dev`. */
const sampling = (...roots: { key: string; organizationId?: number; disabled?: boolean }[]): ProjectTable => {
  const rule = {
    id: 1000,
    type: "trace",
    samplingValue: { type: "sampleRate", value: 0 },
    condition: { op: "eq", name: "trace.environment", value: "dev" },
  };
  const documents = roots.map(({ key, organizationId = 1, disabled = false }) => ({
    projectId: 2,
    organizationId,
    disabled,
    publicKeys: [{ publicKey: key }],
    config: { sampling: { version: 2, rules: [rule] } },
  }));
  const own = { projectId: 1, organizationId: 1, publicKeys: [{ publicKey: A }] };
  return new ProjectTable({
    unknown: "wait",
    overrideProjectIds: false,
    states: [own, ...documents].flatMap((document) => projectStates(projectDocument.parse(document))),
  });
};
const sampledOut = ({ metrics }: Awaited<ReturnType<typeof fixture>>): number =>
  metrics.read(METRICS.outcomes, "filtered", "sampled", "transaction_indexed");

Deno.test("SpoolSource: a transaction waits alone for the project its trace began in, whose rules are asked", async () => {
  await using all = await fixture(sampling());
  const { append, jobs, wanted, source, admission, reader, control } = all;
  await append(transactionOf("dev", 0), transactionOf("prod", 1), recordOf(A, 2), transactionOf("dev", 3, A));
  const others = await jobs();
  assertEquals(others.map(numberOf), [2, 3]);
  assertEquals([new Set(wanted), reader.held.projects], [new Set([ROOT]), 0]);
  for (const job of others) source.settle(job, DELIVERED);

  // Another state changes nothing but that the root is asked for again.
  source.projectsChanged();
  assertEquals(await jobs(), []);
  // Its own wakes whoever waits for records.
  const waiting = source.wait(new AbortController().signal);
  admission.projects = sampling({ key: ROOT });
  source.projectsChanged();
  await waiting;
  const sampled = await jobs();
  assertEquals([sampled.map(numberOf), sampledOut(all)], [[1], 1]);
  for (const job of sampled) source.settle(job, DELIVERED);
  assertEquals([control.waitingRecords, reader.inHand], [0, 0]);
});

for (
  const [what, root] of [
    ["disabled", { key: ROOT, disabled: true }],
    ["of another organisation", { key: ROOT, organizationId: 2 }],
  ] as const
) {
  Deno.test(`SpoolSource: a root that is ${what} samples nothing`, async () => {
    await using all = await fixture(sampling());
    const { append, jobs, source, admission } = all;
    await append(transactionOf("dev", 0));
    assertEquals(await jobs(), []);
    admission.projects = sampling(root);
    source.projectsChanged();
    assertEquals([(await jobs()).map(numberOf), sampledOut(all)], [[0], 0]);
  });
}

Deno.test("SpoolSource: a root that stays unknown is waited for once, for a minute; when it is known it samples", async () => {
  await using all = await fixture(sampling());
  const { append, jobs, source, admission, clock } = all;
  await append(transactionOf("dev", 0));
  assertEquals(await jobs(), []);
  await clock.advance(30_000);
  await append(transactionOf("dev", 1));
  assertEquals(await jobs(), []);
  const waiting = source.wait(new AbortController().signal);
  await clock.advance(30_000);
  await waiting;
  assertEquals((await jobs()).map(numberOf), [0, 1]);
  await append(transactionOf("dev", 2));
  assertEquals((await jobs()).map(numberOf), [2]);
  admission.projects = sampling({ key: ROOT });
  source.projectsChanged();
  await append(transactionOf("dev", 3), transactionOf("prod", 4));
  assertEquals([(await jobs()).map(numberOf), sampledOut(all)], [[4], 1]);
});

Deno.test("SpoolSource: however many wait for a root, their project goes on; and none is lost", async () => {
  await using all = await fixture(sampling());
  const { append, jobs, source, admission, reader, control } = all;
  await append(...range(500).map((n) => transactionOf(n % 2 === 0 ? "dev" : "prod", n)), recordOf(A, 500));
  const others = await jobs();
  assertEquals(others.map(numberOf), [500]);
  for (const job of others) source.settle(job, DELIVERED);
  assertEquals([reader.inHand, reader.held.projects], [500, 0]);
  admission.projects = sampling({ key: ROOT });
  source.projectsChanged();
  const sent = await jobs();
  assertEquals(sent.map(numberOf).sort((a, b) => a - b), range(250).map((n) => 2 * n + 1));
  assertEquals(sampledOut(all), 250);
  for (const job of sent) source.settle(job, DELIVERED);
  assertEquals([control.waitingRecords, reader.inHand], [0, 0]);
});
