/** Records that are never held whole: through a real node, on both engines, with a bound on its memory. */
import { assert, assertEquals } from "@std/assert";
import * as zlib from "node:zlib";
import { EncodedPost, LargeEnvelope, LargeReport, postLarge } from "../support/large_post.ts";
import { NodeProcess } from "../support/node_process.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { SinkUpstream } from "../support/sink_upstream.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;
/** Less than the one body, and well below what the many are together; `deno task bench:large` has figures. */
const GROWN_BY_ONE_MAX = 190 * MIB;
const GROWN_BY_REPORT_MAX = 140 * MIB;
const GROWN_BY_MANY_MAX = 320 * MIB;
const MANY = 60;
const MANY_BYTES = 8 * MIB;
const EXPOSURES = ["load_balancer", "internet"] as const;

/** Bytes the node has taken at most so far, of which some 150 MiB are there before any request. */
async function peakBytes(node: NodeProcess): Promise<number> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${node.pid}/status`] }).output();
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(new TextDecoder().decode(stdout))![1]) * 1024;
}

/** Files of large bodies in the node's spool. */
async function bodies(node: NodeProcess): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(`${node.folder}/spool/p0/large`)) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names;
}

for (const exposure of EXPOSURES) {
  Deno.test(`large: ${exposure}: 200 MiB arrive upstream byte for byte, in bounded memory`, async () => {
    await using upstream = new SinkUpstream();
    const spool = { envelopes: { max_disk_size: "4GiB" } };
    const config = { listener: { exposure }, http: { encoding: "identity" }, spool };
    await using node = await NodeProcess.start({ upstream: upstream.url, config });
    const before = await peakBytes(node);
    const envelope = new LargeEnvelope(1, 200 * MIB - 1024);
    assertEquals(await postLarge(node.port, envelope), 200);
    await upstream.count(1);
    assertEquals(upstream.received, [{ bytes: envelope.bytes, crc: envelope.crc, encoding: "" }]);
    const grown = await peakBytes(node) - before;
    assert(grown < GROWN_BY_ONE_MAX, `${grown}`);
    await until("the body is removed", async () => (await bodies(node)).length === 0);
  });

  Deno.test(`large: ${exposure}: a crash report of 150 MiB arrives upstream as an envelope, in bounded memory`, async () => {
    await using upstream = new SinkUpstream();
    const spool = { envelopes: { max_disk_size: "4GiB" } };
    const listener = { exposure, body_memory: "1MiB" };
    const config = { listener, http: { encoding: "identity" }, spool };
    await using node = await NodeProcess.start({ upstream: upstream.url, config });
    const before = await peakBytes(node);
    const report = new LargeReport(1, 150 * MIB);
    assertEquals(await postLarge(node.port, report), 200);
    await upstream.count(1);
    assertEquals(upstream.received, [{ bytes: report.envelopeBytes, crc: report.crc, encoding: "" }]);
    const grown = await peakBytes(node) - before;
    assert(grown < GROWN_BY_REPORT_MAX, `${grown}`);
    await until("the body is removed", async () => (await bodies(node)).length === 0);
  });

  Deno.test(`large: ${exposure}: many uploads at once stay within a bound`, async () => {
    await using upstream = new SinkUpstream();
    const spool = { envelopes: { max_disk_size: "4GiB" } };
    const config = { listener: { exposure }, http: { encoding: "identity" }, spool };
    await using node = await NodeProcess.start({ upstream: upstream.url, config });
    const before = await peakBytes(node);
    const envelopes = Array.from({ length: MANY }, (_, n) => new LargeEnvelope(n + 1, MANY_BYTES));
    const statuses = await Promise.all(envelopes.map((envelope) => postLarge(node.port, envelope)));
    assertEquals(statuses, envelopes.map(() => 200));
    await upstream.count(MANY);
    const crcs = upstream.received.map(({ crc }) => crc).sort();
    assertEquals(crcs, envelopes.map(({ crc }) => crc).sort());
    const grown = await peakBytes(node) - before;
    assert(grown < GROWN_BY_MANY_MAX, `${grown}`);
  });
}

Deno.test("large: kill -9 during uploads leaves nothing behind and loses nothing acknowledged", async () => {
  await using upstream = ScriptedUpstream.start();
  await upstream.down();
  await using node = await NodeProcess.start({
    upstream: upstream.url,
    config: { http: { encoding: "identity" } },
  });
  const whole = [1, 2, 3].map((n) => new LargeEnvelope(n, 3 * MIB));
  for (const envelope of whole) assertEquals(await postLarge(node.port, envelope), 200);
  let sent = 0;
  const reports = [7, 8].map((n) => new LargeReport(n, 3 * MIB));
  for (const report of reports) assertEquals(await postLarge(node.port, report), 200);
  const halves = [4, 5, 6].map((n) =>
    postLarge(node.port, n === 6 ? new LargeReport(n, 8 * MIB) : new LargeEnvelope(n, 8 * MIB), {
      stopAfter: 4 * MIB,
      onSent: () => sent++,
    })
  );
  await until(
    "the halves are on disk",
    async () => sent === 3 && (await bodies(node)).filter((name) => name.endsWith(".part")).length === 3,
  );
  await node.kill();
  assertEquals(await Promise.all(halves), [0, 0, 0]);
  // What a crash between the name and the record leaves.
  await Deno.writeFile(`${node.folder}/spool/p0/large/${"0".repeat(32)}.body`, new Uint8Array(9));
  await node.startAgain();
  assertEquals((await bodies(node)).filter((name) => name.endsWith(".part")), []);
  upstream.up();
  await upstream.until(() =>
    [...whole, ...reports].every(({ seed }) => upstream.accepted(seed.toString(16).padStart(32, "0")))
  );
  await until("nothing is left", async () => (await bodies(node)).length === 0);
});

Deno.test("large: a client that goes away leaves nothing behind", async () => {
  await using upstream = ScriptedUpstream.start();
  const report = new LargeReport(1, 8 * MIB);
  const posts = [
    new LargeEnvelope(1, 8 * MIB),
    report,
    new EncodedPost(report, "gzip", (bytes) => zlib.gzipSync(bytes, { level: 0 })),
  ];
  for (const exposure of EXPOSURES) {
    await using node = await NodeProcess.start({
      upstream: upstream.url,
      config: { listener: { exposure } },
    });
    for (const post of posts) {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port: node.port });
      const posting = postLarge(node.port, post, { stopAfter: 5 * MIB, conn });
      await until("the upload has begun", async () => (await bodies(node)).length === 1);
      conn.close();
      assertEquals(await posting, 0);
      await until("nothing is left", async () => (await bodies(node)).length === 0);
    }
    // What was refused has left nothing in the budget either, and the disk is not taken for broken.
    assertEquals(await postLarge(node.port, report), 200);
    await upstream.until(() => upstream.accepted("1".padStart(32, "0")));
  }
});
