/**
 * When the records of a partition were received, on the monotonic clock: what their age is measured with.
 *
 * A record carries the wall clock of its receipt, because that means something after a restart, too. While records wait
 * the wall clock may be set, by a day or by years; then nothing has become older, and nothing must be kept for ever. So
 * whoever reads looks at both clocks again and again. When they are further apart than before, the wall clock has jumped,
 * and what had been appended until then is taken to be received as much later, or earlier, by the clock of now.
 *
 * What was there when reading began was received before that, whatever it says: records from the future count as received
 * at that moment. Jumps before it are not known.
 *
 * Limits: steps of less than {@link STEP_MS_MIN} are followed; of {@link JUMPS_MAX} jumps the first ones are forgotten.
 * Of a record that was appended between a jump and the look that found it, the clock it is nearer to is taken.
 */
import type { Clock } from "../core/clock.ts";
import type { ControlBlock } from "./control_block.ts";

/** Steps that are not worth anything, ms: ages are counted in minutes at least. */
export const STEP_MS_MIN = 1000;
const JUMPS_MAX = 16;

/** A place in a partition. */
interface Place {
  readonly segment: number;
  readonly offset: number;
}

/** The wall clock was set. */
interface Jump {
  /** What lies before was certainly appended before the jump, */
  readonly after: Place;
  /** and what does not lie before this one, after it. */
  readonly until: Place;
  /** The wall clock around it, ms. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Receipt times of a partition, as one reader sees it. */
export class ReceiptTimes {
  readonly #clock: Clock;
  readonly #control: Pick<ControlBlock, "position">;
  readonly #openedAt: Place;
  readonly #openedMs: number;
  readonly #jumps: Jump[] = [];
  /** Wall clock less monotonic clock. */
  #apartMs: number;
  #looked: Place;

  /** @param openedAt where the writer was when reading began */
  constructor(clock: Clock, control: Pick<ControlBlock, "position">, openedAt: Place) {
    this.#clock = clock;
    this.#control = control;
    this.#openedAt = openedAt;
    this.#looked = openedAt;
    this.#openedMs = clock.now();
    this.#apartMs = this.#openedMs - clock.monotonic();
  }

  /** Sees whether the wall clock was set, and remembers where the writer was; to be called several times a second. */
  look(): void {
    this.follow();
    this.#looked = this.#control.position();
  }

  /** Sees whether the wall clock was set; to be called before records are read. */
  follow(): void {
    const toMs = this.#clock.now();
    const apartMs = toMs - this.#clock.monotonic();
    const stepMs = apartMs - this.#apartMs;
    if (Math.abs(stepMs) < STEP_MS_MIN) return;
    const until = this.#control.position();
    this.#jumps.push({ after: this.#looked, until, fromMs: toMs - stepMs, toMs });
    if (this.#jumps.length > JUMPS_MAX) this.#jumps.shift();
    this.#apartMs = apartMs;
    this.#looked = until;
  }

  /** Monotonic moment at which a record was received that says it was at `receivedAtMs`, wall clock. */
  of(place: Place, receivedAtMs: number): number {
    let atMs = receivedAtMs;
    if (isBefore(place, this.#openedAt)) atMs = Math.min(atMs, this.#openedMs);
    for (const jump of this.#jumps) if (isOlder(place, atMs, jump)) atMs += jump.toMs - jump.fromMs;
    return atMs - this.#apartMs;
  }
}

function isOlder(place: Place, atMs: number, { after, until, fromMs, toMs }: Jump): boolean {
  if (isBefore(place, after)) return true;
  return isBefore(place, until) && Math.abs(atMs - fromMs) < Math.abs(atMs - toMs);
}

function isBefore(one: Place, other: Place): boolean {
  return one.segment < other.segment || one.segment === other.segment && one.offset < other.offset;
}
