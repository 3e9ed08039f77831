/**
 * Random sequences of what happens to a partition, against a model that only knows what was promised.
 *
 * After every sequence the partition is opened once more and emptied: every acknowledged record must have come out, once
 * in the life of a reader, unless it was settled; what was settled before a checkpoint must not come again; and nothing may be left.
 */
import { setImmediate } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ControlBlock } from "../../src/spool/control_block.ts";
import { DiskBudget } from "../../src/spool/disk_budget.ts";
import type { StoredRecord } from "../../src/spool/partition_reader.ts";
import { recordBytes } from "../../src/spool/record.ts";
import { LargeBodyLost } from "../../src/spool/large_reader.ts";
import type { Leftover } from "../../src/spool/large_leftovers.ts";
import type { SpoolRecord } from "../../src/spool/record.ts";
import { StorageError } from "../../src/spool/storage.ts";
import { openSpoolFolder, SpoolPathError } from "../../src/spool/spool_folder.ts";
import { SpoolError } from "../../src/spool/spool_error.ts";
import { SIM_BLOCK_BYTES, SimStorage } from "../support/sim_storage.ts";
import {
  appendLarge,
  closePartition,
  numbered,
  numberOf,
  openPartition,
  PARTITION,
  type Partition,
  readAll,
  whole,
} from "../support/spool_fixture.ts";

const BUDGET = 6000;

/** Which sizes of bodies stand for large ones. */
const isLarge = (size: number): boolean => size % 4 === 3;

/** Something that happens to a partition. */
export type Step =
  | { readonly kind: "append"; readonly sizes: readonly number[] }
  | { readonly kind: "read"; readonly count: number }
  | { readonly kind: "settle" | "reread"; readonly index: number }
  | {
    readonly kind:
      | "settleAll"
      | "settleMost"
      | "checkpoint"
      | "tick"
      | "reopen"
      | "crash"
      | "restartReader"
      | "restartWriter"
      | "loseCheckpoint";
  }
  | { readonly kind: "crashDuringAppend"; readonly sizes: readonly number[]; readonly afterCalls: number }
  | { readonly kind: "fault"; readonly afterCalls: number; readonly fault: "io" | "no_space" }
  | { readonly kind: "capacity"; readonly bytes: number }
  | { readonly kind: "giveBack"; readonly index: number }
  | { readonly kind: "hold" | "release"; readonly project: number }
  | { readonly kind: "age"; readonly ms: number };

/** Age limit of records on hold: a few `age` steps away. */
const AGE_MAX_MS = 20_000;

const sizes = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 6 });
const kinds = [
  "settleAll",
  "checkpoint",
  "tick",
  "reopen",
  "crash",
  "restartReader",
  "restartWriter",
] as const;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("append" as const), sizes }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("read" as const), count: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constantFrom("settle" as const, "reread" as const), index: fc.nat() }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom(...kinds) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("crashDuringAppend" as const),
      sizes,
      afterCalls: fc.integer({ min: 0, max: 8 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("fault" as const),
      afterCalls: fc.integer({ min: 0, max: 8 }),
      fault: fc.constantFrom("io" as const, "no_space" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("giveBack" as const), index: fc.nat() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("hold" as const, "release" as const),
      project: fc.integer({ min: 1, max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("settleMost" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("loseCheckpoint" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("age" as const), ms: fc.integer({ min: 1, max: AGE_MAX_MS }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("capacity" as const),
      bytes: fc.integer({ min: 0, max: 3000 }),
    }),
  },
);

class Run {
  readonly #storage: SimStorage;
  readonly #segmentBytesMax: number;
  #partition!: Partition;
  /** Large bodies that were there when the node started. */
  #leftovers: readonly Leftover[] = [];
  #inHand: StoredRecord[] = [];
  /** Failures of the disk when its bytes were counted. */
  #failuresBefore = 0;
  #next = 1;
  /** Handed out since the reader was opened. */
  #handedOut = new Set<number>();
  /** What the model knows of every record. */
  readonly #acknowledged = new Set<number>();
  readonly #impossible = new Set<number>();
  readonly #settled = new Set<number>();
  /** Settled when a checkpoint was lost: they may come again, and if they do, their bodies may be gone. */
  readonly #forgotten = new Set<number>();
  /** Settled since the reader was opened; only a checkpoint makes that last. */
  #settledNow: number[] = [];
  readonly #checkpointed = new Set<number>();
  /** On hold as far as the model knows; a project of which everything has become too old is not any more. */
  #onHold = new Set<number>();

  constructor(seed: number, segmentBytesMax: number) {
    let state = seed % 2147483646 + 1;
    const random = (): number => (state = state * 48271 % 2147483647) / 2147483647;
    this.#storage = new SimStorage({ random, shortWrites: true });
    this.#segmentBytesMax = segmentBytesMax;
  }

  /** Opens what is on disk; with the shared memory of before when only halves restart. */
  async open(shared?: { control: ControlBlock; budget: DiskBudget }): Promise<void> {
    this.#inHand = [];
    this.#settledNow = [];
    this.#handedOut = new Set();
    this.#onHold = new Set();
    const { bytes, leftovers, release } = await openSpoolFolder(this.#storage, "spool", 1);
    release();
    if (!shared) {
      this.#leftovers = leftovers[0]!;
      this.#failuresBefore = this.#storage.failures;
    }
    this.#partition = await openPartition(this.#storage, {
      segmentBytesMax: this.#segmentBytesMax,
      backlogShare: 0.3,
      freshMs: 150,
      chunkBytes: 6000,
      fairLimits: { perProject: 1, heldMax: 2, heldBytesMax: 2000, putOffBytesMax: 3000, stretchesMax: 8 },
      recordAgeMsMax: AGE_MAX_MS,
      heldStretchesMax: 40,
      blockBytes: SIM_BLOCK_BYTES,
      leftovers: this.#leftovers,
      ...shared ?? { control: new ControlBlock(), budget: DiskBudget.create(BUDGET, bytes) },
    });
  }

  async step(step: Step): Promise<void> {
    const { reader, writer, clock, control, budget } = this.#partition;
    switch (step.kind) {
      case "append":
        return await this.#append(step.sizes);
      case "read":
        for (let i = 0; i < step.count; i++) if (!await this.#read()) return;
        return;
      case "settle":
      case "reread": {
        const record = this.#inHand[step.index % this.#inHand.length];
        if (!record) return;
        if (step.kind === "settle") return this.#settle(record);
        const again = await this.#whole(await reader.reread(record.position));
        return assertEquals(again && numberOf(again), numberOf(record));
      }
      case "settleAll":
        for (const record of [...this.#inHand]) this.#settle(record);
        return;
      case "settleMost":
        while (await this.#read());
        for (const record of [...this.#inHand]) if (numberOf(record) % 11 !== 0) this.#settle(record);
        return await this.#checkpoint();
      case "checkpoint":
        return await this.#checkpoint();
      case "tick":
        return await clock.advance(200);
      case "reopen":
        await writer.close();
        await this.#checkpoint();
        await reader.close();
        this.#assertCounted();
        return await this.open();
      case "crash":
        return await this.#crash();
      case "loseCheckpoint":
        return await this.#loseCheckpoint();
      case "restartReader":
        await reader.close();
        this.#noteCheckpoint();
        await writer.close();
        this.#assertCounted();
        return await this.open({ control, budget });
      case "restartWriter":
        await writer.close();
        return await this.#reopenWriter();
      case "crashDuringAppend": {
        this.#failAfter(step.afterCalls, "power_loss_after");
        await this.#append(step.sizes);
        return await this.#crash();
      }
      case "fault":
        return this.#failAfter(step.afterCalls, step.fault);
      case "giveBack": {
        const record = this.#inHand[step.index % this.#inHand.length];
        if (!record) return;
        reader.giveBack(record);
        this.#inHand.splice(this.#inHand.indexOf(record), 1);
        this.#handedOut.delete(numberOf(record));
        return void this.#onHold.add(record.projectHash);
      }
      case "hold":
        reader.hold(step.project);
        return void this.#onHold.add(step.project);
      case "release":
        reader.release(step.project);
        return void this.#onHold.delete(step.project);
      case "age":
        return await clock.advance(step.ms);
      case "capacity":
        this.#storage.capacity = this.#storage.bytes + step.bytes;
    }
  }

  /** The budget says what is on disk, unless that failed: then it may say more, until the disk is looked at. */
  #assertCounted(): void {
    if (this.#storage.failures > this.#failuresBefore) return;
    assertEquals(this.#partition.budget.bytesUsed, this.#storage.bytesIn(PARTITION));
  }

  /** Ends all trouble, opens the partition once more and empties it. */
  async finish(): Promise<void> {
    await this.#readToTheEnd();
    await this.#crash();
    await this.#append([10]);
    while (await this.#read());
    const missing = [...this.#acknowledged].filter((number) =>
      !this.#settled.has(number) && !this.#inHand.some((record) => numberOf(record) === number)
    );
    assertEquals(missing, []);
    assertEquals(this.#partition.control.waitingRecords, this.#inHand.length);
    for (const record of [...this.#inHand]) this.#settle(record);
    await closePartition(this.#partition);
    await this.open();
    assertEquals(await readAll(this.#partition.reader), []);
    await closePartition(this.#partition);
    const { bytes } = await openSpoolFolder(this.#storage, "spool", 1);
    assertEquals([bytes, this.#partition.budget.bytesUsed], [0, 0]);
  }

  /** Without a restart, too, everything comes out that is not settled, unless the disk has failed for good. */
  async #readToTheEnd(): Promise<void> {
    this.#storage.fault = () => null;
    this.#storage.capacity = Infinity;
    for (const project of this.#onHold) this.#partition.reader.release(project);
    this.#onHold.clear();
    try {
      while (await this.#read());
    } catch (error) {
      if (error instanceof SpoolError) return;
      throw error;
    }
    const missing = [...this.#acknowledged].filter((number) =>
      !this.#settled.has(number) && !this.#handedOut.has(number)
    );
    assertEquals(missing, []);
  }

  async #append(sizes: readonly number[]): Promise<void> {
    const { writer, budget } = this.#partition;
    const large = sizes.filter(isLarge);
    for (const size of large) await this.#appendLarge(this.#record(size), size);
    await Promise.all(
      sizes.filter((size) => !isLarge(size)).map(async (size) => {
        const [number, record] = this.#record(size);
        const isTooMuch = budget.bytesUsed + recordBytes(record) > BUDGET;
        try {
          await writer.append(record);
          this.#acknowledged.add(number);
          assert(!isTooMuch);
        } catch (error) {
          assert(error instanceof SpoolError);
          assertEquals(error.kind === "full", isTooMuch);
          if (isTooMuch) this.#impossible.add(number);
        }
      }),
    );
  }

  #record(size: number): [number: number, record: SpoolRecord] {
    const number = this.#next++;
    return [number, { ...numbered(number, size), projectHash: number % 7 < 5 ? 1 : 2 }];
  }

  async #appendLarge([number, record]: [number, SpoolRecord], size: number): Promise<void> {
    const { writer, budget } = this.#partition;
    const [before, failuresBefore] = [budget.bytesUsed, this.#storage.failures];
    const bytes = size + recordBytes({ ...record, body: [new Uint8Array(28)] });
    const isPossible = before + bytes <= BUDGET;
    try {
      await appendLarge(writer, record);
      this.#acknowledged.add(number);
      // Unlike a small record, whose room is taken at once, it may find what was given back meanwhile.
      assert(isPossible || budget.bytesUsed < before + bytes);
    } catch (error) {
      assert(error instanceof SpoolError);
      // The file is created before any room is taken, so a disk that fails may do so where there is no room as well.
      if (this.#storage.failures === failuresBefore) assertEquals([error.kind, isPossible], ["full", false]);
      else assert(error.kind !== "full" || !isPossible);
      if (!isPossible) this.#impossible.add(number);
    }
  }

  async #read(): Promise<boolean> {
    const found = await this.#partition.reader.next();
    if (found === null) return false;
    const record = await this.#whole(found);
    if (record === null) return true;
    const number = numberOf(record);
    assert(!this.#handedOut.has(number), `${number} came twice`);
    assert(number < this.#next && !this.#impossible.has(number), `${number} was never accepted`);
    const isTooOld = this.#partition.clock.now() - record.receivedAtMs > AGE_MAX_MS;
    assert(
      isTooOld || !this.#onHold.has(record.projectHash) ||
        !this.#partition.reader.isOnHold(record.projectHash),
      `${number} came although its project is on hold`,
    );
    assert(!this.#checkpointed.has(number), `${number} came again after its end was on disk`);
    this.#handedOut.add(number);
    this.#inHand.push(record);
    return true;
  }

  /**
   * The record with its body; null, and settled, when that is lost, which only happens to what was not acknowledged, or
   * settled before a checkpoint was lost: a settled record that comes again because no checkpoint says so yet has its
   * body still.
   */
  async #whole(found: StoredRecord): Promise<StoredRecord | null> {
    const { reader } = this.#partition;
    const failuresBefore = this.#storage.failures;
    try {
      return await whole(reader, found);
    } catch (error) {
      if (error instanceof StorageError && this.#storage.failures > failuresBefore) {
        return await this.#whole(found);
      }
      if (!(error instanceof LargeBodyLost)) throw error;
      const number = Number(/^record (\d+) /.exec(new TextDecoder().decode(found.meta))?.[1]);
      const mayBe = !this.#acknowledged.has(number) || this.#forgotten.has(number);
      assert(mayBe, `${number} lost its body`);
      reader.settle(found.position);
      return null;
    }
  }

  #settle(record: StoredRecord): void {
    this.#partition.reader.settle(record.position);
    this.#settled.add(numberOf(record));
    this.#settledNow.push(numberOf(record));
    this.#inHand.splice(this.#inHand.indexOf(record), 1);
  }

  async #checkpoint(): Promise<void> {
    await this.#partition.reader.checkpoint();
    this.#noteCheckpoint();
  }

  #noteCheckpoint(): void {
    for (const number of this.#settledNow) this.#checkpointed.add(number);
  }

  async #crash(): Promise<void> {
    this.#storage.fault = () => null;
    this.#storage.capacity = Infinity;
    // Whatever was under way ends here: a process that is no more must not write in the life of the next.
    this.#storage.cutPower();
    await setImmediate();
    this.#storage.crash();
    await this.open();
  }

  /** The one file that may be damaged without loss: what it said is said by nobody else, but by holes. */
  async #loseCheckpoint(): Promise<void> {
    this.#storage.files.delete(`${PARTITION}/checkpoint`);
    for (const number of this.#settled) this.#forgotten.add(number);
    this.#checkpointed.clear();
    await this.#crash();
  }

  async #reopenWriter(): Promise<void> {
    const { control, budget, reader } = this.#partition;
    const { reader: spare, ...rest } = await openPartition(this.#storage, {
      segmentBytesMax: this.#segmentBytesMax,
      control,
      budget,
    });
    await spare.close();
    this.#partition = { ...rest, reader, clock: this.#partition.clock };
  }

  #failAfter(calls: number, fault: "io" | "no_space" | "power_loss_after"): void {
    const at = this.#storage.calls + calls;
    this.#storage.fault = ({ index }) => index === at ? fault : null;
  }
}

/** What happens, what chance is seeded with, and how large a segment becomes, bytes. */
export type Sequence = readonly [steps: readonly Step[], chance: number, segmentBytesMax: number];

/** How many sequences to try, and which. */
export interface SpoolModelPlan {
  readonly runs: number;
  /** Any, when absent; a failure names its own. */
  readonly seed?: number;
  /** Tried first. */
  readonly found?: readonly Sequence[];
}

/** Tries sequences; rejects with the seed and the shortest sequence found that breaks a promise. */
export async function checkSpoolModel({ runs, seed, found = [] }: SpoolModelPlan): Promise<void> {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
    fc.nat(),
    fc.integer({ min: 100, max: 3000 }),
    async (steps, chance, segmentBytesMax) => {
      const run = new Run(chance, segmentBytesMax);
      await run.open();
      for (const each of steps) {
        try {
          await run.step(each);
        } catch (error) {
          // A fault reached a call that reports it. The node would start over; nothing else is wrong.
          if (!(error instanceof SpoolError || error instanceof SpoolPathError)) throw error;
          await run.step({ kind: "crash" });
        }
      }
      await run.finish();
    },
  );
  const examples = found.map(([steps, ...rest]): [Step[], number, number] => [[...steps], ...rest]);
  await fc.assert(property, { numRuns: runs, examples, ...seed === undefined ? {} : { seed } });
}
