import { assert, assertEquals, assertRejects } from "@std/assert";
import { DeadLetter } from "../../../src/spool/dead_letter.ts";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { SpoolError } from "../../../src/spool/spool_error.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { deadRecords, numbered, PARTITION } from "../../support/spool_fixture.ts";

const metrics = new Metrics(METRIC_LAYOUT);

function open(
  storage: SimStorage,
  bytesMax: number,
  budget = DiskBudget.create(1 << 20),
  evicted: number[] = [],
) {
  const clock = new ManualClock();
  const onEvicted = (bytes: number) => void evicted.push(bytes);
  return DeadLetter.open({ storage, folder: PARTITION, budget, clock, metrics, bytesMax, onEvicted });
}

Deno.test("DeadLetter: keeps records with their reason over a restart", async () => {
  const storage = new SimStorage({});
  const dead = await open(storage, 10_000);
  assertEquals(await dead.append(numbered(1), "rejected with 400: déjà vu"), true);
  await dead.append(numbered(2), "");
  const expected: [number, string][] = [[1, "rejected with 400: déjà vu"], [2, ""]];
  assertEquals(await deadRecords(storage), expected);
  assertEquals(metrics.read(METRICS.deadLetters), 2);
  await dead.close();
  storage.crash();
  const again = await open(storage, 10_000);
  assertEquals(await deadRecords(storage), expected);
  assertEquals(again.bytes, storage.bytes);
  await again.append(numbered(3), "later");
  assertEquals((await deadRecords(storage)).length, 3);
  await again.close();
});

Deno.test("DeadLetter: a reason of any length leaves the record whole", async () => {
  const storage = new SimStorage({});
  const dead = await open(storage, 1 << 20);
  await dead.append(numbered(1), "é".repeat(50_000));
  const [[number, reason]] = await deadRecords(storage) as [[number, string]];
  assertEquals([number, reason.length], [1, 32_767]);
  await dead.close();
});

Deno.test("DeadLetter: stays within its bound by giving up its oldest segment", async () => {
  const storage = new SimStorage({});
  const evicted: number[] = [];
  const budget = DiskBudget.create(1 << 20);
  const dead = await open(storage, 2000, budget, evicted);
  for (let n = 0; n < 50; n++) {
    await dead.append(numbered(n), "refused");
    assert(storage.bytes <= 2000);
    assertEquals([dead.bytes, budget.bytesUsed], [storage.bytes, storage.bytes]);
  }
  const kept = (await deadRecords(storage)).map(([number]) => number);
  assert(kept.length >= 8);
  assertEquals(kept, Array.from({ length: kept.length }, (_, i) => 50 - kept.length + i));
  assertEquals(evicted.length, 50 - kept.length);
  await dead.close();
});

Deno.test("DeadLetter: when the spool is full it makes room of its own, and gives way when it has none", async () => {
  const budget = DiskBudget.create(700, 300);
  const storage = new SimStorage({});
  const dead = await open(storage, 10_000, budget);
  for (let n = 0; n < 6; n++) assertEquals(await dead.append(numbered(n), "x"), true);
  assert(budget.bytesUsed <= 700);
  assertEquals((await deadRecords(storage)).map(([number]) => number), [3, 4, 5]);
  assertEquals(await dead.append(numbered(7, 5000), "x"), false);
  assertEquals(await dead.append(numbered(8, 50_000), "x"), false);
  assertEquals([budget.bytesUsed, dead.bytes], [300, 0]);
  await dead.close();
});

Deno.test("DeadLetter: a failing disk is an error, and leaves nothing reserved", async () => {
  const storage = new SimStorage({});
  const budget = DiskBudget.create(1 << 20);
  const dead = await open(storage, 10_000, budget);
  await dead.append(numbered(1), "x");
  const used = budget.bytesUsed;
  storage.fault = ({ name }) => name === "sync" ? "io" : null;
  await assertRejects(() => dead.append(numbered(2), "x"), SpoolError);
  storage.fault = () => null;
  await dead.append(numbered(3), "x");
  assertEquals((await deadRecords(storage)).map(([number]) => number), [1, 3]);
  assert(budget.bytesUsed >= storage.bytes && used > 0);
  await dead.close();
});
