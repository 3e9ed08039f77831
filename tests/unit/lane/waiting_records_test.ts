import { assertEquals } from "@std/assert";
import { WaitingRecords } from "../../../src/lane/waiting_records.ts";

const HISTORY = { attempts: 1, serverErrors: 0, isCounted: false, policedItems: null };

function fixture() {
  const onHold = new Set<number>();
  const reader = {
    hold: (projectHash: number) => void onHold.add(projectHash),
    release: (projectHash: number) => void onHold.delete(projectHash),
  };
  const waiting = new WaitingRecords(reader, () => 1);
  const recordOf = (projectHash: number, n: number) => ({
    position: { segment: 1, offset: n * 100, bytes: 100, projectHash },
    projectHash,
    history: HISTORY,
  });
  return { onHold, waiting, recordOf };
}

Deno.test("WaitingRecords: a project of which more than 64 wait is on hold until half of them do not", () => {
  const { onHold, waiting, recordOf } = fixture();
  const park = (projectHash: number, n: number): void =>
    waiting.park({ ...recordOf(projectHash, n), dueMs: 1000 + n });
  for (let n = 0; n < 64; n++) park(7, n);
  park(8, 0);
  assertEquals([...onHold], []);
  park(7, 64);
  assertEquals([...onHold], [7]);
  while (onHold.has(7)) waiting.take(1e6);
  let left = 0;
  while (waiting.take(1e6)) left++;
  assertEquals(left, 32);
});

Deno.test("WaitingRecords: beyond a hundred thousand, in whatever they wait for, nothing new is to be read", () => {
  const { waiting, recordOf } = fixture();
  for (let n = 0; n < 60_000; n++) waiting.park({ ...recordOf(n, n), dueMs: 1000 });
  for (let n = 0; n < 20_000; n++) waiting.awaitRoot(`root ${n % 100}`, recordOf(n, n), 0);
  for (let n = 0; n < 19_999; n++) waiting.awaitTurn(recordOf(n, n));
  assertEquals(waiting.isFull, false);
  waiting.awaitTurn(recordOf(1, 1));
  assertEquals(waiting.isFull, true);
  // One of those that wait has to go first.
  assertEquals([waiting.isDue(0), waiting.take(0) !== null, waiting.isFull], [true, true, false]);
});
