/**
 * Lines on their way from one isolate to another, through shared memory.
 *
 * Why: what a half says must not wait for whoever listens, must not be torn by what others say, and must not be lost with
 * the half. One isolate writes, one reads; neither locks. A line is copied whole before it is published, so that a reader
 * sees only whole lines, also of a writer that died in the middle of one.
 *
 * Limits: a line that does not fit is refused and counted; the writer never waits.
 *
 * Layout: four 32-bit cells (bytes ever written, bytes ever read, both modulo 2^32; lines refused; wake-ups), then the
 * bytes of the ring, a power of two.
 */
import type { Clock } from "./clock.ts";
import { SharedSignal } from "./shared_signal.ts";

const HEAD = 0;
const TAIL = 1;
const REFUSED = 2;
const WAKES = 3;

const CELLS_BYTES = 16;
const NEWLINE = 10;

/** Ring of lines in shared memory; construct it from `buffer` in the other isolate. */
export class SharedRing {
  readonly #cells: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  readonly #wakeBytes: number;
  readonly #signal: SharedSignal;

  /** @param wakeBytes bytes that wake the reader; it finds fewer when it looks by itself */
  constructor(readonly buffer: SharedArrayBuffer, wakeBytes = 1) {
    this.#cells = new Int32Array(buffer, 0, CELLS_BYTES / 4);
    this.#signal = new SharedSignal(this.#cells, WAKES);
    this.#bytes = new Uint8Array(buffer, CELLS_BYTES);
    this.#mask = this.#bytes.length - 1;
    this.#wakeBytes = wakeBytes;
  }

  /** Memory of a ring of at least this many bytes. */
  static createBuffer(bytesMin: number): SharedArrayBuffer {
    return new SharedArrayBuffer(CELLS_BYTES + 2 ** Math.ceil(Math.log2(bytesMin)));
  }

  /** Bytes that wait to be read. */
  get pending(): number {
    return Atomics.load(this.#cells, HEAD) - Atomics.load(this.#cells, TAIL) | 0;
  }

  /** Writer: adds a line, which ends with a newline and has no other one; false when there is no room for it. */
  push(line: Uint8Array): boolean {
    const head = Atomics.load(this.#cells, HEAD);
    const used = head - Atomics.load(this.#cells, TAIL) | 0;
    if (used + line.length > this.#bytes.length) {
      Atomics.add(this.#cells, REFUSED, 1);
      return false;
    }
    const at = head & this.#mask;
    const room = this.#bytes.length - at;
    if (line.length <= room) this.#bytes.set(line, at);
    else {
      this.#bytes.set(line.subarray(0, room), at);
      this.#bytes.set(line.subarray(room), 0);
    }
    Atomics.store(this.#cells, HEAD, head + line.length | 0);
    // Asked anew: the reader may have been here meanwhile, and waits again.
    const pending = this.pending;
    if (pending >= this.#wakeBytes && pending - line.length < this.#wakeBytes) this.#signal.raise();
    return true;
  }

  /** Reader: takes everything out; whole lines, or nothing. */
  take(): Uint8Array<ArrayBuffer> {
    const tail = Atomics.load(this.#cells, TAIL);
    const length = Atomics.load(this.#cells, HEAD) - tail | 0;
    const taken = new Uint8Array(length);
    const at = tail & this.#mask;
    const first = this.#bytes.subarray(at, at + length);
    taken.set(first);
    taken.set(this.#bytes.subarray(0, length - first.length), first.length);
    Atomics.store(this.#cells, TAIL, tail + length | 0);
    return taken;
  }

  /** Reader: lines refused since this was last asked. */
  takeRefused(): number {
    return Atomics.exchange(this.#cells, REFUSED, 0) >>> 0;
  }

  /** Reader: resolves when enough waits to be read, on `signal`, or after a second. May be early. */
  async wait(clock: Clock, signal: AbortSignal): Promise<void> {
    const seen = this.#signal.count;
    if (this.pending < this.#wakeBytes) await this.#signal.wait(seen, clock, signal);
  }
}

/** Number of lines in bytes that are whole lines. */
export function countLines(lines: Uint8Array): number {
  let count = 0;
  for (let at = lines.indexOf(NEWLINE); at >= 0; at = lines.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
