import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemoryAck } from "../../../src/spool/memory_ack.ts";
import { recordBytes, type SpoolRecord } from "../../../src/spool/record.ts";
import { SpoolError } from "../../../src/spool/spool_error.ts";
import { METRICS } from "../../../src/telemetry/catalogue.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { numbered, numberOf, openPartition, type Partition, readAll } from "../../support/spool_fixture.ts";

const BYTES = recordBytes(numbered(1));
const DELAY_MS = 500;

interface Fixture extends Partition {
  readonly ack: MemoryAck;
  readonly lost: SpoolRecord[];
}

async function open(storage: SimStorage, recordsMax = 10): Promise<Fixture> {
  const partition = await openPartition(storage, { segmentBytesMax: 1 << 20 });
  const { writer, clock } = partition;
  const lost: SpoolRecord[] = [];
  const onLost = (record: SpoolRecord): void => void lost.push(record);
  const ack = new MemoryAck({ writer, clock, bytesMax: recordsMax * BYTES, delayMs: DELAY_MS, onLost });
  return { ...partition, ack, lost };
}

const onDisk = async ({ reader }: Partition): Promise<number[]> => (await readAll(reader)).map(numberOf);

/** Whether an append has been answered by now, without any time passing. */
async function isAnswered(append: Promise<void>): Promise<boolean> {
  let answered = false;
  append.then(() => answered = true, () => answered = true);
  await Promise.resolve();
  return answered;
}

Deno.test("MemoryAck.append: answers at once, and one commit within the delay has everything", async () => {
  const storage = new SimStorage({});
  const fixture = await open(storage);
  const { ack, clock, metrics } = fixture;
  for (let n = 0; n < 5; n++) assert(await isAnswered(ack.append(numbered(n))));
  assertEquals([storage.bytes, ack.unwrittenBytes], [0, 5 * BYTES]);
  await clock.advance(DELAY_MS);
  assertEquals([storage.bytes, ack.unwrittenBytes], [5 * BYTES, 0]);
  assertEquals(metrics.read(METRICS.spoolCommits), 1);
  assertEquals(await onDisk(fixture), [0, 1, 2, 3, 4]);
  await ack.close();
  await fixture.reader.close();
});

Deno.test("MemoryAck.append: beyond the bytes it waits for the disk, without waiting for the delay", async () => {
  const fixture = await open(new SimStorage({}), 3);
  const { ack } = fixture;
  for (let n = 0; n < 3; n++) assert(await isAnswered(ack.append(numbered(n))));
  const beyond = ack.append(numbered(3));
  assertEquals(await isAnswered(beyond), false);
  await beyond;
  assertEquals((await onDisk(fixture)).includes(3), true);
  await ack.close();
  assertEquals(await onDisk(fixture), []);
  await fixture.reader.close();
});

Deno.test("MemoryAck: a power loss takes at most the window, and nothing older", async () => {
  let seed = 7;
  const random = (): number => (seed = seed * 48271 % 2147483647) / 2147483647;
  for (let round = 0; round < 30; round++) {
    const storage = new SimStorage({ random });
    const { ack, clock, control } = await open(storage);
    const acked: { n: number; atMs: number }[] = [];
    const powerFailsAt = Math.floor(random() * 40);
    storage.fault = ({ index }) => index < powerFailsAt ? null : "power_loss_before";
    for (let n = 0; n < 100 && !storage.isDead; n++) {
      ack.append(numbered(n)).then(() => acked.push({ n, atMs: clock.monotonic() }), () => {});
      await clock.advance(Math.floor(random() * 120));
    }
    storage.crash();
    storage.fault = () => null;
    const found = new Set(await onDisk(await openPartition(storage, { control })));
    const missing = acked.filter(({ n }) => !found.has(n));
    const span = missing.length === 0 ? 0 : missing.at(-1)!.atMs - missing[0]!.atMs;
    assert(missing.length <= 10 && span <= DELAY_MS, `${missing.length} records of ${span} ms are missing`);
    const firstMissing = missing[0]?.n ?? Infinity;
    assert(acked.every(({ n }) => n < firstMissing === found.has(n) || n >= firstMissing));
  }
});

for (const fault of ["no_space", "io"] as const) {
  for (const call of ["write", "sync", "open"]) {
    Deno.test(`MemoryAck: after ${fault} at ${call} it refuses, keeps what it acknowledged, and writes it first`, async () => {
      const storage = new SimStorage({});
      const fixture = await open(storage);
      const { ack, clock, control, budget, lost } = fixture;
      await ack.append(numbered(0));
      await ack.append(numbered(1));
      storage.fault = ({ name }) => name === call ? fault : null;
      await clock.advance(DELAY_MS);
      assert(control.unhealthy);
      const refused = assertRejects(() => ack.append(numbered(2)), SpoolError);
      await clock.advance(DELAY_MS);
      assertEquals((await refused).kind, fault === "io" ? "io_error" : "no_space");
      storage.fault = () => null;
      const taken = ack.append(numbered(3));
      await clock.advance(DELAY_MS);
      await taken;
      assertEquals(control.unhealthy, false);
      assert(await isAnswered(ack.append(numbered(4))));
      await ack.close();
      assertEquals(await onDisk(fixture), [0, 1, 3, 4]);
      assertEquals([lost.length, budget.bytesUsed], [0, storage.bytes]);
      await fixture.reader.close();
    });
  }
}

Deno.test("MemoryAck.close: what the disk refuses to the end is given up and told, once", async () => {
  const storage = new SimStorage({ fault: ({ name }) => name === "write" ? "io" : null });
  const fixture = await open(storage);
  const { ack, clock, budget, lost } = fixture;
  await ack.append(numbered(0));
  await clock.advance(10 * DELAY_MS);
  assertEquals(lost, []);
  await ack.close();
  assertEquals([lost.length, ack.unwrittenBytes, budget.bytesUsed], [1, 0, 0]);
  assertEquals((await assertRejects(() => ack.append(numbered(1)), SpoolError)).kind, "closed");
  await fixture.reader.close();
  assertEquals(clock.pending, 0);
});
