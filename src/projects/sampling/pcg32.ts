/**
 * The generator that makes one sampling decision the same on every relay: PCG-XSH-RR 64/32, seeded by an id.
 *
 * Source: control reference, section 8 ("Decision"); the algorithm is O'Neill's pcg32.
 */
const MULTIPLIER = 6364136223846793005n;
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** A stream of 32-bit numbers. */
export class Pcg32 {
  readonly #increment: bigint;
  #state: bigint;

  /** @param stream which of the many sequences; its highest bit is ignored */
  constructor(state: bigint, stream: bigint) {
    this.#increment = u64(stream << 1n) | 1n;
    this.#state = u64(state + this.#increment);
    this.#step();
  }

  /** The next number, from 0 to 2^32 - 1. */
  next(): number {
    const state = this.#state;
    this.#step();
    const shifted = Number(BigInt.asUintN(32, ((state >> 18n) ^ state) >> 27n));
    const rotation = Number(state >> 59n);
    return ((shifted >>> rotation) | (shifted << ((32 - rotation) & 31))) >>> 0;
  }

  #step(): void {
    this.#state = u64(this.#state * MULTIPLIER + this.#increment);
  }
}

/**
 * The number from 0 to below 1 that belongs to an id: one draw of 64 bits, low word first, of which the top 53 count.
 *
 * @param id 32 hex digits: state and stream
 */
export function randomOf(id: string): number {
  const generator = new Pcg32(BigInt(`0x${id.slice(0, 16)}`), BigInt(`0x${id.slice(16)}`));
  const low = generator.next();
  const high = generator.next();
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
}
