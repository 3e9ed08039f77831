/**
 * Which projects send most, in a few cells of shared memory per lane.
 *
 * A Space-Saving sketch: {@link SLOTS} projects are counted; a further one takes the place of the least busy and goes on
 * from its count, so whoever sends much is never missed, and a flood of made-up projects costs nothing. Counts fade
 * with {@link FADE_MS}, so that over it they are a rate. One writer; who reads may see a slot that is changing hands.
 *
 * Layout, doubles: time of the last fading, then per slot project id (0: none), accepted, refused, bytes.
 */
const SLOTS = 64;
const CELLS = 4;
const FADE_MS = 60_000;
const FADE_STEP_MS = 5000;

/** A project at a glance; per second, over the last minute or so. */
export interface ProjectRate {
  /** `unknown` for requests that name none. */
  readonly project: string;
  readonly accepted: number;
  readonly refused: number;
  readonly bytes: number;
}

/** The sketch of one lane. */
export class TopProjects {
  readonly #cells: Float64Array;
  readonly #slots = new Map<number, number>();

  constructor(readonly buffer: SharedArrayBuffer = TopProjects.createBuffer()) {
    this.#cells = new Float64Array(buffer);
    // What a writer that died had counted.
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.#weight(slot) > 0) this.#slots.set(this.#cells[at(slot)]!, slot);
    }
  }

  private static createBuffer(): SharedArrayBuffer {
    return new SharedArrayBuffer((1 + SLOTS * CELLS) * Float64Array.BYTES_PER_ELEMENT);
  }

  /** Counts an envelope. @param nowMs wall clock */
  note(projectId: string, isAccepted: boolean, bytes: number, nowMs: number): void {
    this.#fade(nowMs);
    const id = Number(projectId) || 0;
    const cell = at(this.#slots.get(id) ?? this.#take(id));
    const counted = isAccepted ? cell + 1 : cell + 2;
    this.#cells[counted] = this.#cells[counted]! + 1;
    this.#cells[cell + 3] = this.#cells[cell + 3]! + bytes;
  }

  /** The busiest projects of several lanes. */
  static busiest(lanes: readonly TopProjects[], count: number, nowMs: number): ProjectRate[] {
    const sums = new Map<number, { accepted: number; refused: number; bytes: number }>();
    for (const lane of lanes) lane.#addTo(sums, nowMs);
    return [...sums].map(([id, rates]) => ({ project: id === 0 ? "unknown" : String(id), ...rates }))
      .filter(({ accepted, refused }) => accepted + refused >= 0.001)
      .sort((a, b) => b.accepted + b.refused - a.accepted - a.refused)
      .slice(0, count);
  }

  #addTo(sums: Map<number, { accepted: number; refused: number; bytes: number }>, nowMs: number): void {
    const perSecond = faded(nowMs - this.#cells[0]!) / (FADE_MS / 1000);
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.#weight(slot) === 0) continue;
      const [id, accepted, refused, bytes] = this.#cells.subarray(at(slot), at(slot) + CELLS);
      const sum = sums.get(id!) ?? { accepted: 0, refused: 0, bytes: 0 };
      sum.accepted += accepted! * perSecond;
      sum.refused += refused! * perSecond;
      sum.bytes += bytes! * perSecond;
      sums.set(id!, sum);
    }
  }

  #weight(slot: number): number {
    return this.#cells[at(slot) + 1]! + this.#cells[at(slot) + 2]!;
  }

  /** A slot for a newcomer: a free one, or that of the least busy with its count. */
  #take(id: number): number {
    let least = 0;
    for (let slot = 1; slot < SLOTS; slot++) if (this.#weight(slot) < this.#weight(least)) least = slot;
    if (this.#weight(least) > 0) this.#slots.delete(this.#cells[at(least)]!);
    this.#cells[at(least)] = id;
    this.#slots.set(id, least);
    return least;
  }

  #fade(nowMs: number): void {
    const elapsedMs = nowMs - this.#cells[0]!;
    if (elapsedMs >= 0 && elapsedMs < FADE_STEP_MS) return;
    const factor = faded(elapsedMs);
    for (let slot = 0; slot < SLOTS; slot++) {
      for (let cell = 1; cell < CELLS; cell++) {
        this.#cells[at(slot) + cell] = this.#cells[at(slot) + cell]! * factor;
      }
    }
    this.#cells[0] = nowMs;
  }
}

const at = (slot: number): number => 1 + slot * CELLS;
const faded = (elapsedMs: number): number => Math.exp(-Math.max(0, elapsedMs) / FADE_MS);
