/**
 * The shared memory between the two halves of a partition: how far the writer got, and a way to wake the reader.
 *
 * Layout: four 32-bit cells (wake counter, generation of the position, unhealthy, unused), then doubles: two slots of
 * (segment, durable offset, sequence), the first segment of this block's life, and two cells of the reader.
 *
 * The position is three numbers that must be read together while the other thread moves on, and a writer may die at
 * any instruction. So it is written into the slot that is not current, and then the generation is switched: a reader
 * that finds the same generation before and after has read whole values, and a dead writer blocks nobody.
 */
import type { Clock } from "../core/clock.ts";
import { SharedSignal } from "../core/shared_signal.ts";

const WAKE = 0;
const GENERATION = 1;
const UNHEALTHY = 2;

const FLOATS_AT = 16;
const SLOT = 3;
const FIRST_SEGMENT = 6;
const READ_SEQUENCE = 7;
const IN_HAND = 8;
const BYTES = FLOATS_AT + 9 * Float64Array.BYTES_PER_ELEMENT;

/** How far the writer got. */
export interface WritePosition {
  /** Segment being written; 0 before a writer opened. Lower ones are complete. */
  readonly segment: number;
  /** Durable bytes of it; 0 as long as the file may not exist. */
  readonly offset: number;
  /** Records made durable since this block was created. */
  readonly sequence: number;
}

/** Shared memory of one partition; construct it from `buffer` in the other isolate. */
export class ControlBlock {
  readonly #ints: Int32Array;
  readonly #floats: Float64Array;
  readonly #signal: SharedSignal;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(BYTES)) {
    this.#ints = new Int32Array(buffer, 0, 4);
    this.#floats = new Float64Array(buffer, FLOATS_AT);
    this.#signal = new SharedSignal(this.#ints, WAKE);
  }

  /** Writer: makes a position known and wakes the reader. */
  publish(segment: number, offset: number, sequence: number): void {
    const generation = Atomics.load(this.#ints, GENERATION) + 1 | 0;
    const slot = (generation & 1) * SLOT;
    this.#floats[slot] = segment;
    this.#floats[slot + 1] = offset;
    this.#floats[slot + 2] = sequence;
    if (this.#floats[FIRST_SEGMENT] === 0) this.#floats[FIRST_SEGMENT] = segment;
    Atomics.store(this.#ints, GENERATION, generation);
    this.wake();
  }

  /** The position published last. */
  position(): WritePosition {
    for (;;) {
      const generation = Atomics.load(this.#ints, GENERATION);
      const slot = (generation & 1) * SLOT;
      const segment = this.#floats[slot]!;
      const offset = this.#floats[slot + 1]!;
      const sequence = this.#floats[slot + 2]!;
      if (Atomics.load(this.#ints, GENERATION) === generation) return { segment, offset, sequence };
    }
  }

  /** First segment written since this block was created; 0 before there is one. */
  get firstSegment(): number {
    return this.#floats[FIRST_SEGMENT]!;
  }

  /** Whether the disk refuses writes. */
  get unhealthy(): boolean {
    return Atomics.load(this.#ints, UNHEALTHY) === 1;
  }

  set unhealthy(value: boolean) {
    Atomics.store(this.#ints, UNHEALTHY, value ? 1 : 0);
  }

  /** Reader: sequence of the record read last, and how many records it handed out that are not settled. */
  reportRead(sequence: number | null, inHand: number): void {
    if (sequence !== null) this.#floats[READ_SEQUENCE] = sequence;
    this.#floats[IN_HAND] = inHand;
  }

  /** Records that are not settled: appended and not read yet, or handed out. Unread older segments do not count. */
  get waitingRecords(): number {
    return Math.max(0, this.position().sequence - this.#floats[READ_SEQUENCE]!) + this.#floats[IN_HAND]!;
  }

  /** Number of wake-ups so far (it wraps); to be read before looking for work. */
  get wakes(): number {
    return this.#signal.count;
  }

  /** Wakes whoever waits, here or in another isolate. */
  wake(): void {
    this.#signal.raise();
  }

  /** Resolves when the number of wake-ups is no longer `seen`, on `signal`, or after a second. May be early. */
  wait(seen: number, clock: Clock, signal?: AbortSignal): Promise<void> {
    return this.#signal.wait(seen, clock, signal);
  }
}
