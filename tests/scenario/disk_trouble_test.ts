/** Answers before the disk has it, and disks that run full or vanish under a running node: real processes and file-systems. */
import { assert, assertEquals } from "@std/assert";
import { EventLoad } from "../support/event_load.ts";
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
