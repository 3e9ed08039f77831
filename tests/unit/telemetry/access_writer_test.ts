import { assert, assertEquals } from "@std/assert";
import { fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { SharedRing } from "../../../src/core/shared_ring.ts";
import { type AccessOutput, AccessWriter } from "../../../src/telemetry/access_writer.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { configureLogging } from "../../../src/telemetry/log.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { RotatingFile } from "../../../src/telemetry/rotating_file.ts";
import { ManualClock } from "../../support/manual_clock.ts";

configureLogging({ level: "off", format: "json" });

const RULES: AccessOutput = {
  output: "stdout",
  format: "json",
  path: "",
  maxBytes: 100,
  maxAgeMs: 60_000,
  keep: 2,
};

Deno.test("AccessWriter: while a write hangs lines are dropped and counted exactly; nothing is torn or lost else", async () => {
  const clock = new ManualClock();
  const metrics = new Metrics(METRIC_LAYOUT);
  let written = "";
  let release = Promise.withResolvers<void>();
  const writer = new AccessWriter({
    clock,
    metrics,
    rules: RULES,
    async stdout(bytes) {
      await release.promise;
      // As a pipe does that has room for so much.
      const part = bytes.subarray(0, 7);
      written += fromUtf8(part);
      return part.length;
    },
  });
  const buffers = [SharedRing.createBuffer(1024), SharedRing.createBuffer(1024)];
  for (const buffer of buffers) writer.include(buffer);
  const lanes = buffers.map(AccessWriter.ring);
  let taken = 0;
  let pushed = 0;
  const push = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const line = `{"lane":${i % 2},"n":${pushed++}}\n`;
      if (lanes[i % 2]!.push(utf8(line))) taken++;
    }
  };
  push(10);
  await clock.advance(1000);
  push(500);
  await clock.advance(5000);
  assertEquals(written, "");
  assert(taken < 200 && taken > 60, String(taken));
  release.resolve();
  release = Promise.withResolvers();
  release.resolve();
  await clock.advance(5000);
  push(20);
  await writer.close();
  const numbers = written.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(numbers.length, taken);
  for (const lane of [0, 1]) {
    const own = numbers.filter((line) => line.lane === lane).map(({ n }) => n);
    assertEquals(own, own.toSorted((a, b) => a - b));
  }
  assertEquals(metrics.read(METRICS.logLost, "access"), 530 - taken);
});

Deno.test("AccessWriter: a reader that never reads does not keep the node from ending", async () => {
  const clock = new ManualClock();
  const stdout = (): Promise<number> => new Promise(() => {});
  const writer = new AccessWriter({ clock, metrics: new Metrics(METRIC_LAYOUT), rules: RULES, stdout });
  const buffer = SharedRing.createBuffer(1024);
  writer.include(buffer);
  AccessWriter.ring(buffer).push(utf8("{}\n"));
  const closed = writer.close();
  await clock.advance(2000);
  await closed;
});

Deno.test("AccessWriter: what a failed write loses is counted, and the next one is tried", async () => {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const clock = new ManualClock();
  const metrics = new Metrics(METRIC_LAYOUT);
  const path = `${folder}/missing/access.log`;
  const writer = new AccessWriter({ clock, metrics, rules: { ...RULES, output: "file", path } });
  const buffer = SharedRing.createBuffer(1024);
  const lane = AccessWriter.ring(buffer);
  lane.push(utf8("1\n2\n"));
  writer.include(buffer);
  while (metrics.read(METRICS.logLost, "access") === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals(metrics.read(METRICS.logLost, "access"), 2);
  await Deno.mkdir(`${folder}/missing`);
  lane.push(utf8("3\n"));
  await writer.close();
  assertEquals(await Deno.readTextFile(path), "3\n");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("RotatingFile: rotates by size and age, keeps what it shall, and follows its name when it is opened again", async () => {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const path = `${folder}/access.log`;
  const clock = new ManualClock();
  const file = new RotatingFile({ path, maxBytes: 10, maxAgeMs: 60_000, keep: 2 }, clock);
  const write = (text: string): Promise<void> => file.write(utf8(text));
  const files = async (): Promise<Record<string, string>> => {
    const found: Record<string, string> = {};
    for await (const { name } of Deno.readDir(folder)) {
      found[name] = await Deno.readTextFile(`${folder}/${name}`);
    }
    return found;
  };
  await write("1234\n");
  await write("5678\n");
  await write("9\n");
  assertEquals(await files(), { "access.log": "9\n", "access.log.1": "1234\n5678\n" });
  await clock.advance(60_000);
  await write("a\n");
  assertEquals(await files(), { "access.log": "a\n", "access.log.1": "9\n", "access.log.2": "1234\n5678\n" });
  await write("larger than ten bytes\n");
  await write("b\n");
  const kept = { "access.log": "b\n", "access.log.1": "larger than ten bytes\n", "access.log.2": "a\n" };
  assertEquals(await files(), kept);

  await Deno.rename(path, `${folder}/moved`);
  await write("c\n");
  file.close();
  await write("d\n");
  assertEquals(await files(), { ...kept, "access.log": "d\n", moved: "b\nc\n" });
  file.close();
  const again = new RotatingFile({ path, maxBytes: 10, maxAgeMs: null, keep: 0 }, clock);
  await again.write(utf8("e\n"));
  assertEquals((await files())["access.log"], "d\ne\n");
  await again.write(utf8("something\n"));
  assertEquals(await files(), { ...kept, "access.log": "something\n", moved: "b\nc\n" });
  again.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("access log: a day of a thousand requests a second stays within its bound on disk, and every line is accounted for", async () => {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const clock = new ManualClock();
  const rules: AccessOutput = {
    output: "file",
    format: "json",
    path: `${folder}/access.log`,
    maxBytes: 1 << 20,
    maxAgeMs: 3_600_000,
    keep: 3,
  };
  const file = new RotatingFile(rules, clock);
  const ring = new SharedRing(SharedRing.createBuffer(1 << 14));
  const line = utf8(`{"n":1234}\n`);
  let taken = 0;
  let pushed = 0;
  let largest = 0;
  // A thousand a second in bursts of a minute's share of what the ring holds: the rest is dropped, as by a slow writer.
  for (let minute = 0; minute < 24 * 60; minute++) {
    for (let i = 0; i < 60_000; i++) {
      pushed++;
      if (ring.push(line)) taken++;
      else if (i % 7 === 0) await file.write(ring.take());
    }
    await clock.advance(60_000);
    if (minute % 60 === 0) {
      let bytes = 0;
      for await (const { name } of Deno.readDir(folder)) bytes += (await Deno.stat(`${folder}/${name}`)).size;
      largest = Math.max(largest, bytes);
    }
  }
  assertEquals(pushed, 86_400_000);
  assertEquals(pushed - taken, ring.takeRefused());
  assert(taken > pushed / 2);
  assert(largest > 1 << 20 && largest <= 4 << 20, String(largest));
  file.close();
  await Deno.remove(folder, { recursive: true });
});
