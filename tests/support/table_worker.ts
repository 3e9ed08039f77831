/** Adds to entries of a shared table as fast as it can: one of several isolates that do. */
import { SharedTable, type Visit } from "../../src/core/shared_table.ts";

/** What a worker is told to do. */
export interface TableWork {
  readonly buffer: SharedArrayBuffer;
  readonly keys: readonly string[];
  readonly rounds: number;
}

/** Two numbers that only belong together if nobody interferes between them. */
const addToBoth: Visit = (cells, at, amount) => {
  cells[at] = cells[at]! + amount;
  cells[at + 1] = cells[at + 1]! - amount;
  return cells[at]! + cells[at + 1]!;
};

const scope = self as unknown as {
  onmessage: (event: MessageEvent<TableWork>) => void;
  postMessage(torn: number): void;
};

scope.onmessage = ({ data: { buffer, keys, rounds } }) => {
  const table = SharedTable.attach(buffer);
  let torn = 0;
  for (let round = 0; round < rounds; round++) {
    for (const key of keys) if (table.update(key, round, addToBoth, 1) !== 0) torn++;
  }
  scope.postMessage(torn);
};
