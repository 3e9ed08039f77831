import { assertEquals } from "@std/assert";
import { oldestReceivedAt } from "../../../src/spool/oldest_record.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { openPartition, PARTITION } from "../../support/spool_fixture.ts";

const record = (receivedAtMs: number) => ({
  receivedAtMs,
  projectHash: 1,
  categoryBits: [1, 0] as const,
  meta: new Uint8Array(20),
  body: [new Uint8Array(300)],
});

Deno.test("oldestReceivedAt: the first record that is not settled, over several segments", async () => {
  const storage = new SimStorage({});
  const { writer, reader } = await openPartition(storage, { segmentBytesMax: 1000 });
  assertEquals(await oldestReceivedAt(storage, PARTITION), null);
  for (let i = 0; i < 6; i++) await writer.append(record(1000 + i));
  assertEquals(await oldestReceivedAt(storage, PARTITION), 1000);
  const found = [];
  for (let i = 0; i < 6; i++) found.push((await reader.next())!);
  found.sort((a, b) => a.receivedAtMs - b.receivedAtMs);
  for (const [index, { position }] of found.entries()) {
    reader.settle(position);
    await reader.checkpoint();
    assertEquals(await oldestReceivedAt(storage, PARTITION), index === 5 ? null : 1001 + index);
  }
  await reader.close();
  await writer.close();
});

Deno.test("oldestReceivedAt: a folder that is not there has none", async () => {
  assertEquals(await oldestReceivedAt(new SimStorage({}), "nowhere"), null);
});
