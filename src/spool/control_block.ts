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

const WAKE = 0;
const GENERATION = 1;
const UNHEALTHY = 2;

const FLOATS_AT = 16;
const SLOT = 3;
const FIRST_SEGMENT = 6;
const READ_SEQUENCE = 7;
const IN_HAND = 8;
const BYTES = FLOATS_AT + 9 * Float64Array.BYTES_PER_ELEMENT;

/** How often a waiting reader looks by itself. Also what keeps its event loop alive: `Atomics.waitAsync` does not. */
const POLL_MS = 1000;

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
  readonly #waiters = new Set<() => void>();
  #listening = false;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(BYTES)) {
    this.#ints = new Int32Array(buffer, 0, 4);
    this.#floats = new Float64Array(buffer, FLOATS_AT);
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
    return Atomics.load(this.#ints, WAKE);
  }

  /** Wakes whoever waits, here or in another isolate. */
  wake(): void {
    Atomics.add(this.#ints, WAKE, 1);
    Atomics.notify(this.#ints, WAKE);
    this.#wakeLocal();
  }

  /** Resolves when the number of wake-ups is no longer `seen`, on `signal`, or after a second. May be early. */
  async wait(seen: number, clock: Clock, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted || this.wakes !== seen) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wakeUp = (): void => resolve();
    const poll = clock.after(POLL_MS, wakeUp);
    signal?.addEventListener("abort", wakeUp, { once: true });
    this.#waiters.add(wakeUp);
    this.#listen(seen);
    await promise;
    this.#waiters.delete(wakeUp);
    signal?.removeEventListener("abort", wakeUp);
    poll.cancel();
  }

  /** Keeps at most one wait in shared memory; one that an aborted wait left behind serves the next. */
  #listen(seen: number): void {
    if (this.#listening) return;
    const result = Atomics.waitAsync(this.#ints, WAKE, seen);
    if (!result.async) return this.#wakeLocal();
    this.#listening = true;
    void result.value.then(() => {
      this.#listening = false;
      this.#wakeLocal();
    });
  }

  #wakeLocal(): void {
    for (const wakeUp of this.#waiters) wakeUp();
  }
}
