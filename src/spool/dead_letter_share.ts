/**
 * What the dead letters of all lanes hold, in memory they share, so that one bound serves whichever lane needs it.
 *
 * A lane takes what the others leave. An even share of the bound is always its own: when one that is within its share finds
 * no room, it asks, and those beyond theirs delete their oldest segments until there is.
 *
 * Each lane writes what it holds into a cell of its own, at its start what it found on disk. So the sum is right again
 * after any crash, and whatever number of lanes was there before. Two lanes that take the last room at the same moment both
 * find that there is none; the bound holds.
 *
 * Layout: a 32-bit counter to wait on and one unused, then for each lane two 64-bit cells: bytes held, bytes asked for.
 */
import type { Clock } from "../core/clock.ts";
import { SharedSignal } from "../core/shared_signal.ts";

const CELLS_AT = 8;
const HELD = 0;
const ASKED = 1;
const PER_LANE = 2;

/** One lane's view. A new one asks for nothing, and is to say what it holds. */
export class DeadLetterShare {
  readonly #cells: BigInt64Array;
  readonly #signal: SharedSignal;
  readonly #own: number;
  readonly #lanes: number;

  constructor(buffer: SharedArrayBuffer, lane: number) {
    this.#cells = new BigInt64Array(buffer, CELLS_AT);
    this.#signal = new SharedSignal(new Int32Array(buffer, 0, 2), 0);
    this.#own = lane * PER_LANE;
    this.#lanes = this.#cells.length / PER_LANE;
    this.ask(0);
  }

  /** Shared memory for so many lanes. */
  static createBuffer(lanes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(CELLS_AT + lanes * PER_LANE * BigInt64Array.BYTES_PER_ELEMENT);
  }

  /** Whether there is no other lane. */
  get isAlone(): boolean {
    return this.#lanes === 1;
  }

  /** Of a bound, what this lane can have at any time. */
  of(bytesMax: number): number {
    return bytesMax / this.#lanes;
  }

  /** Bytes this lane holds. */
  get bytes(): number {
    return Number(Atomics.load(this.#cells, this.#own + HELD));
  }

  set bytes(bytes: number) {
    Atomics.store(this.#cells, this.#own + HELD, BigInt(bytes));
  }

  /** Whether there is less left of a bound than lanes ask for. */
  isShort(bytesMax: number): boolean {
    return this.#sum(HELD) + this.#sum(ASKED) > bytesMax;
  }

  /**
   * Takes `bytes`, which this lane then asks for no longer; or takes nothing and says false, because the bound does not
   * hold them beside what the others hold and ask for.
   */
  tryTake(bytes: number, bytesMax: number): boolean {
    this.bytes += bytes;
    this.ask(0);
    if (!this.isShort(bytesMax)) return true;
    this.bytes -= bytes;
    return false;
  }

  /** Gives `bytes` back. */
  release(bytes: number): void {
    this.bytes -= bytes;
    this.#signal.raise();
  }

  /** Says how many bytes this lane waits for; 0 for none. */
  ask(bytes: number): void {
    Atomics.store(this.#cells, this.#own + ASKED, BigInt(bytes));
    if (bytes > 0) this.#signal.raise();
  }

  /** Whether this lane is to delete something, because others ask for what it has beyond its share. */
  mustGive(bytesMax: number): boolean {
    return this.#sum(ASKED) > 0 && this.bytes > this.of(bytesMax) && this.isShort(bytesMax);
  }

  /**
   * Resolves when a lane gave something back or asks, on `signal`, or after a second.
   *
   * @param mayWait asked once more before the wait; without it there is no hurry
   */
  async changed(clock: Clock, mayWait?: () => boolean, signal?: AbortSignal): Promise<void> {
    const seen = this.#signal.count;
    if (mayWait?.() !== false) await this.#signal.wait(seen, clock, signal);
  }

  #sum(cell: number): number {
    let sum = 0n;
    for (let at = cell; at < this.#cells.length; at += PER_LANE) sum += Atomics.load(this.#cells, at);
    return Number(sum);
  }
}
