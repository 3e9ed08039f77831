import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { SharedTable, type Visit, WAYS } from "../../../src/core/shared_table.ts";
import type { TableWork } from "../../support/table_worker.ts";

const add: Visit = (cells, at, amount) => cells[at] = cells[at]! + amount;
const read: Visit = (cells, at) => cells[at]!;

Deno.test("SharedTable: an entry starts with zeros, and is the same for every view", () => {
  const table = SharedTable.create({ entries: 64, cells: 2 });
  const other = SharedTable.attach(table.buffer);
  assertEquals(table.update("a", 1, add, 5), 5);
  assertEquals(other.update("a", 2, add, 2 ** 40), 2 ** 40 + 5);
  assertEquals(other.visit("b", 2, read, 0, -1), -1);
  assertEquals([table.used, table.evictions, table.capacity], [1, 0, 64]);
  assertEquals([table.remove("a"), table.remove("a"), table.used], [true, false, 0]);
  assertEquals(table.update("a", 3, add, 1), 1);
});

Deno.test("SharedTable: like a map as long as nothing is evicted", () => {
  const key = fc.oneof(fc.string({ maxLength: 40 }), fc.stringMatching(/^[0-9a-f]{4}$/));
  const call = fc.tuple(fc.constantFrom("update", "visit", "remove"), key, fc.integer({ min: -9, max: 9 }));
  fc.assert(fc.property(fc.array(call, { maxLength: 200 }), (calls) => {
    const table = SharedTable.create({ entries: 4096, cells: 1 });
    const model = new Map<string, number>();
    for (const [what, name, amount] of calls) {
      const known = model.get(name);
      if (what === "update") {
        model.set(name, (known ?? 0) + amount);
        assertEquals(table.update(name, 0, add, amount), model.get(name));
      } else if (what === "visit") assertEquals(table.visit(name, 0, read, 0, 77), known ?? 77);
      else assertEquals(table.remove(name), model.delete(name));
    }
    assertEquals([table.used, table.evictions], [model.size, 0]);
  }));
});

Deno.test("SharedTable: a full bucket gives up its least recently used entry, and only that", () => {
  const table = SharedTable.create({ entries: WAYS, cells: 1 });
  for (let i = 0; i < WAYS; i++) table.update(`key ${i}`, i, add, i + 1);
  table.update("key 0", WAYS, add, 0);
  // Looking is no use: key 1 stays the oldest.
  table.visit("key 1", WAYS + 1, read);
  assertEquals(table.update("new", WAYS + 2, read), 0);
  const left = Array.from({ length: WAYS }, (_, i) => table.visit(`key ${i}`, 0, read, 0, -1));
  assertEquals(left, [1, -1, ...Array.from({ length: WAYS - 2 }, (_, i) => i + 3)]);
  assertEquals([table.used, table.evictions], [WAYS, 1]);
});

Deno.test("SharedTable: similar keys spread, so a table half full has evicted next to nothing", () => {
  const table = SharedTable.create({ entries: 1 << 14, cells: 1 });
  for (let i = 0; i < 1 << 13; i++) table.update(`10.0.${i >> 8}.${i & 255}`, i, add, 1);
  assertEquals(table.used + table.evictions, 1 << 13);
  // A bucket of 8 gets 4 on average; with a fair hash 2.1 % of the buckets overflow, and 0.8 % of the keys are evicted.
  assert(table.evictions < (1 << 13) * 0.02, `${table.evictions} evictions`);
});

Deno.test("SharedTable: two tables disagree about which keys collide", () => {
  const victims = (): string => {
    const table = SharedTable.create({ entries: 64, cells: 1 });
    for (let i = 0; i < 64; i++) table.update(`key ${i}`, i, add, 1);
    return Array.from({ length: 64 }, (_, i) => table.visit(`key ${i}`, 0, read)).join("");
  };
  assert(victims() !== victims());
});

Deno.test("SharedTable: isolates that change the same entries at once lose nothing and tear nothing", async () => {
  const table = SharedTable.create({ entries: 64, cells: 2 });
  const keys = Array.from({ length: 4 }, (_, i) => `key ${i}`);
  const workers = Array.from({ length: 4 }, () => {
    return new Worker(new URL("../../support/table_worker.ts", import.meta.url), { type: "module" });
  });
  const torn = await Promise.all(workers.map((worker) =>
    new Promise<number>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ buffer: table.buffer, keys, rounds: 20_000 } satisfies TableWork);
    })
  ));
  for (const worker of workers) worker.terminate();
  assertEquals(torn, [0, 0, 0, 0]);
  assertEquals(keys.map((key) => table.visit(key, 0, read)), [80_000, 80_000, 80_000, 80_000]);
});

Deno.test("SharedTable: the lock of somebody who died is taken over", () => {
  const table = SharedTable.create({ entries: WAYS, cells: 1 });
  const lock = new Int32Array(table.buffer, 8 * 4, 1);
  lock[0] = 4711;
  assertEquals(table.update("a", 0, add, 1), 1);
  assertEquals(lock[0], 0);
});
