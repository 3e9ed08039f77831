/** Answers before the disk has it, and disks that run full or vanish under a running node: real processes and file-systems. */
import { assert, assertEquals } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import { EventLoad } from "../support/event_load.ts";
import { FailingStorage, READ_ONLY, type StorageFault } from "../support/failing_storage.ts";
import { startNode } from "../support/node_fixture.ts";
import { NodeProcess } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { pause, until } from "../support/until.ts";

const EVERY_MS = 5;
const WINDOW_MS = 500;
const http = { retry_delay: "100ms", max_retry_interval: "500ms", outage_grace_period: "500ms" };

Deno.test("spool.ack memory: kill -9 loses no more than the window, SIGTERM nothing", async () => {
  await using upstream = ScriptedUpstream.start();
  const spool = { ack: "memory", ack_delay: `${WINDOW_MS}ms` };
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { http, spool } });
  const killed = new EventLoad(node.url, EVERY_MS);
  await pause(1500);
  await node.kill();
  await killed.stop();
  await node.startAgain();
  const drained = new EventLoad(node.url, EVERY_MS);
  await pause(700);
  assertEquals(await node.terminate(), 0);
  await drained.stop();
  await node.startAgain();
  await until(
    "what the drain kept arrives",
    () => [...drained.acknowledged].every((id) => upstream.accepted(id)),
  );
  const acknowledged = [...killed.acknowledged];
  const firstLost = acknowledged.findIndex((id) => !upstream.accepted(id));
  const lost = firstLost < 0 ? 0 : acknowledged.length - firstLost;
  report(`${lost} of ${acknowledged.length} lost by kill -9, 0 of ${drained.acknowledged.size} by SIGTERM`);
  assert(lost <= WINDOW_MS / EVERY_MS + 5, `${lost} events are lost`);
});

Deno.test("a spool folder deleted under the node: no untrue answer after that, and it goes on by itself", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await NodeProcess.start({ upstream: upstream.url, config: { http } });
  assertEquals((await postEvent(node.url)).status, 200);
  await upstream.until(() => upstream.requests.length === 1);
  await Deno.remove(`${node.folder}/spool/p0`, { recursive: true });
  const first = await postEvent(node.url);
  assertEquals(first.status, 503);
  await until("the node is ready again", async () => await node.readiness() === 200);
  const next = await postEvent(node.url);
  assertEquals(next.status, 200);
  await upstream.until(() => upstream.accepted(next.eventId));
  assertEquals(await node.terminate(), 0);
});

const IN_PROCESS = {
  "http.retry_delay": 0.05,
  "http.max_retry_interval": 0.1,
  "http.outage_grace_period": 0.1,
  "logging.level": "off",
};
const WRITE_TROUBLE: readonly (readonly [string, StorageFault])[] = [
  ["is remounted read-only", READ_ONLY],
  ["gives EIO to syncs", (name) => name === "sync"],
  ["gives EIO to writes", (name) => name === "write"],
];

for (const [what, fault] of WRITE_TROUBLE) {
  Deno.test(`a disk that ${what}: 503, readiness and metrics say so, and the node is back without a restart`, async () => {
    await using upstream = ScriptedUpstream.start();
    const disk = new FailingStorage();
    await using node = await startNode({ upstream: upstream.url, config: IN_PROCESS, storage: disk.storage });
    const { metrics } = node.node;
    const before = await postEvent(node.url);
    await upstream.until(() => upstream.accepted(before.eventId));
    disk.fault = fault;
    const refused = await Promise.all(Array.from({ length: 5 }, () => postEvent(node.url)));
    assertEquals(refused.map(({ status }) => status), refused.map(() => 503));
    await until("readiness says so", () => node.node.status().phase === "unready");
    assertEquals(node.node.status().problems, ["the disk refuses writes"]);
    assertEquals(metrics.read(METRICS.spoolUnhealthy), 1);
    assert(metrics.read(METRICS.spoolRefused, "io_error") >= 5);
    disk.fault = () => false;
    await until("the node is ready again", () => node.node.status().phase === "ready");
    assertEquals(metrics.read(METRICS.spoolUnhealthy), 0);
    const after = await postEvent(node.url);
    assertEquals(after.status, 200);
    await upstream.until(() => upstream.accepted(after.eventId));
    await until("nothing waits", () => node.node.status().spool.waiting === 0);
    // What was refused was never sent, and what was acknowledged once.
    assertEquals(upstream.requests.map(({ eventId }) => eventId), [before.eventId, after.eventId]);
  });
}

Deno.test("a disk that gives EIO to reads: what waits is kept, new events are taken, and all of it leaves once that ends", async () => {
  await using upstream = ScriptedUpstream.start();
  upstream.behave({ status: 503 });
  const disk = new FailingStorage();
  const config = { ...IN_PROCESS, "http.outage_grace_period": 60 };
  await using node = await startNode({ upstream: upstream.url, config, storage: disk.storage });
  const waiting = await Promise.all(Array.from({ length: 20 }, () => postEvent(node.url)));
  await upstream.until(() => waiting.every(({ eventId }) => upstream.byEventId().has(eventId)));
  // All of them were tried once, and have to be read again.
  disk.fault = (name, path) => name === "read" && path.endsWith(".seg");
  upstream.behave({});
  await until("reads have failed", () => disk.failed >= 3);
  const meanwhile = await postEvent(node.url);
  assertEquals([meanwhile.status, node.node.status().phase], [200, "ready"]);
  disk.fault = () => false;
  const all = [...waiting, meanwhile];
  await until("all arrive", () => all.every(({ eventId }) => upstream.accepted(eventId)));
  await until("nothing waits", () => node.node.status().spool.waiting === 0);
  assertEquals(node.node.metrics.read(METRICS.spoolCorrupt), 0);
});

Deno.test("a volume that runs full under load: truthful answers, not ready, and back without a restart", async () => {
  const volume = await Deno.makeTempDir({ prefix: "landfall-test-" });
  if (!await mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", volume)) {
    await Deno.remove(volume);
    return report("not tested: this machine allows no mount");
  }
  try {
    await using upstream = ScriptedUpstream.start();
    const spool = { envelopes: { path: `${volume}/spool` }, segment_size: "256KiB" };
    await using node = await NodeProcess.start({ upstream: upstream.url, config: { http, spool } });
    await upstream.down();
    const load = new EventLoad(node.url, EVERY_MS);
    await pause(300);
    await fill(`${volume}/filler`);
    await until("the node says it is not ready", async () => await node.readiness() === 503);
    const { status } = await postEvent(node.url);
    assertEquals(status, 429);
    await load.stop();
    await Deno.remove(`${volume}/filler`);
    await until("the node is ready again", async () => await node.readiness() === 200);
    await upstream.up();
    const after = await postEvent(node.url);
    assertEquals(after.status, 200);
    await until(
      "all arrive",
      () => [...load.acknowledged, after.eventId].every((id) => upstream.accepted(id)),
    );
    assert(load.acknowledged.size > 0 && load.failed > 0);
    assertEquals(await node.terminate(), 0);
  } finally {
    await new Deno.Command("umount", { args: ["-l", volume] }).output();
    await Deno.remove(volume);
  }
});

async function mount(...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command("mount", { args }).output()).success;
  } catch {
    return false;
  }
}

/** Writes until nothing more fits. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, write: true });
  for (const size of [1 << 16, 1 << 12]) {
    try {
      for (;;) await file.write(new Uint8Array(size));
    } catch {
      // It is full.
    }
  }
}
