/** Sequences that broke a promise once, of the spool or of an earlier form of its model: tried before any other. */
import type { Sequence } from "./spool_model.ts";

/** Found sequences, as a failure prints them, each with what it is good for. */
export const FOUND_SEQUENCES: readonly Sequence[] = [
  // A settled range that is only found from its start: a large record comes again after its body was removed.
  [
    [
      { kind: "append", sizes: [63, 35] },
      { kind: "read", count: 2 },
      { kind: "settle", index: 348021819 },
      { kind: "restartReader" },
      { kind: "append", sizes: [0, 0] },
      { kind: "append", sizes: [0] },
      { kind: "read", count: 4 },
      { kind: "settleAll" },
      { kind: "append", sizes: [0] },
    ],
    0,
    212,
  ],
  // A large body that goes before the checkpoint that calls its record settled.
  [
    [
      { kind: "append", sizes: [95] },
      { kind: "read", count: 1 },
      { kind: "fault", afterCalls: 1, fault: "io" },
      { kind: "settleMost" },
      { kind: "settle", index: 0 },
    ],
    252218544,
    100,
  ],
  // No room for a large body, which must be refused as `full`.
  [
    [
      { kind: "append", sizes: [0, 0, 0, 11, 211, 0] },
      { kind: "append", sizes: [0, 175, 0, 179, 115] },
      { kind: "append", sizes: [55, 179, 59, 3] },
      { kind: "append", sizes: [99, 0] },
      { kind: "append", sizes: [91, 47, 179, 167, 131, 267] },
      { kind: "crashDuringAppend", sizes: [0, 0], afterCalls: 0 },
      { kind: "append", sizes: [111, 35, 127, 211, 223, 83] },
      { kind: "append", sizes: [211] },
      { kind: "settle", index: 0 },
    ],
    1110521120,
    1105,
  ],
  // Room that a shrunk segment gave back is given back once, and stays so when its reader starts again.
  [
    [
      { kind: "append", sizes: [0] },
      { kind: "append", sizes: [0, 0] },
      { kind: "append", sizes: [0, 0] },
      { kind: "append", sizes: [0, 0, 0, 0, 0, 0] },
      { kind: "reopen" },
      { kind: "settleMost" },
      { kind: "restartReader" },
      { kind: "settle", index: 0 },
    ],
    0,
    849,
  ],
  // The disk fails while a record is read again that was written, but not acknowledged.
  [
    [
      { kind: "crashDuringAppend", sizes: [0, 0], afterCalls: 5 },
      { kind: "append", sizes: [0] },
      { kind: "append", sizes: [0, 0, 127, 0] },
      { kind: "append", sizes: [295, 0, 0] },
      { kind: "reopen" },
      { kind: "append", sizes: [0, 0] },
      { kind: "read", count: 5 },
      { kind: "append", sizes: [15, 0, 135, 0] },
      { kind: "settleMost" },
      { kind: "append", sizes: [0, 0] },
      { kind: "crashDuringAppend", sizes: [0, 0, 0, 0, 107], afterCalls: 7 },
      { kind: "age", ms: 175 },
      { kind: "append", sizes: [0, 0] },
      { kind: "read", count: 2 },
      { kind: "read", count: 4 },
      { kind: "fault", afterCalls: 5, fault: "io" },
      { kind: "reread", index: 568606617 },
      { kind: "settle", index: 0 },
    ],
    394603056,
    100,
  ],
  // The power goes while a checkpoint is written: what it was about to remove has to be there.
  [
    [
      { kind: "append", sizes: [0, 0, 0] },
      { kind: "read", count: 1 },
      { kind: "append", sizes: [0, 135, 0, 0, 0, 0] },
      { kind: "read", count: 1 },
      { kind: "read", count: 7 },
      { kind: "settleAll" },
      { kind: "tick" },
    ],
    657813250,
    100,
  ],
];
