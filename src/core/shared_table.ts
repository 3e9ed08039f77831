/**
 * A hash table of fixed size in shared memory: a few numbers per key, seen by every isolate at once.
 *
 * Why: rates, quotas and counts of a client have to agree across lanes, and no message may be sent per request. It is
 * what nginx calls a shared zone: memory is set at the start, and when it is full the least recently used entry makes
 * room.
 *
 * Keys are hashed to 64 bits with a secret of the table (HalfSipHash-1-3), so clients can neither aim at each other's
 * entries nor crowd a bucket on purpose; keys themselves are not kept. A bucket holds {@link WAYS} entries and evicts among
 * those alone, so a table that must hold `n` keys should have about `2 n` entries.
 *
 * **What an evicted entry means** is up to its user, because it looks like a key never seen, all zeros:
 * - a rate zone forgives: the key starts with an empty bucket, as in nginx;
 * - a quota forgets what was used in this window: too much may pass, never too little;
 * - a count of what is in flight starts again at zero, so releases must stop at zero, and must not create entries
 *   ({@link SharedTable.visit}): too much may be in flight, nobody is shut out for ever;
 * - a ban ends early.
 *
 * All numbers of an entry are changed under the lock of its bucket, so they belong together. Who dies holding a lock is
 * noticed by the next one to want it: a lock that stays with the same holder for {@link ABANDONED_WAITS} ms is taken over.
 *
 * Layout: a header of 32-bit cells, a lock per bucket, two 32-bit halves of the hash per entry (0, 0 is a free one);
 * then doubles: time of the last use per entry, and the entry's cells. Doubles, because 32-bit integers are too small for bytes
 * and times, and 64-bit ones are bigints, which allocate; the lock orders them. Integers are exact up to 2^53.
 */

/** Entries of a bucket. */
export const WAYS = 8;

const SEED_LOW = 0;
const SEED_HIGH = 1;
const BUCKETS = 2;
const CELLS = 3;
const EVICTIONS = 4;
const USED = 5;
const HEADER = 8;

const SPINS = 200;
/** Waits of a millisecond after which whoever holds a lock is held for dead; a holder needs far less than one. */
const ABANDONED_WAITS = 100;

/**
 * Changes the numbers of an entry: `cells[at]`, `cells[at + 1]` and so on, all 0 for a new key.
 *
 * Runs under a lock: short, without throwing. To be made once, not per call.
 */
export type Visit = (cells: Float64Array, at: number, argument: number, nowMs: number) => number;

/** View on a table; make one from `buffer` with {@link SharedTable.attach} in every other isolate. */
export class SharedTable {
  readonly #ints: Int32Array;
  readonly #tags: Int32Array;
  readonly #usedAt: Float64Array;
  readonly #cells: Float64Array;
  readonly #width: number;
  readonly #mask: number;
  readonly #hash = new Int32Array(2);
  #ticket = Math.floor(Math.random() * 2 ** 31) | 1;

  private constructor(readonly buffer: SharedArrayBuffer) {
    const header = new Int32Array(buffer, 0, HEADER);
    const buckets = header[BUCKETS]!;
    const entries = buckets * WAYS;
    this.#width = header[CELLS]!;
    this.#mask = buckets - 1;
    this.#ints = new Int32Array(buffer, 0, HEADER + buckets);
    const tagsAt = (HEADER + buckets) * 4;
    this.#tags = new Int32Array(buffer, tagsAt, 2 * entries);
    const doublesAt = doublesStart(buckets);
    this.#usedAt = new Float64Array(buffer, doublesAt, entries);
    this.#cells = new Float64Array(buffer, doublesAt + entries * 8, entries * this.#width);
  }

  /**
   * An empty table.
   *
   * @param o.entries least number of entries; rounded up to a power of two
   * @param o.cells numbers per entry
   */
  static create({ entries, cells }: { readonly entries: number; readonly cells: number }): SharedTable {
    const buckets = 2 ** Math.max(0, Math.ceil(Math.log2(entries / WAYS)));
    const buffer = new SharedArrayBuffer(doublesStart(buckets) + buckets * WAYS * (1 + cells) * 8);
    const header = new Int32Array(buffer, 0, HEADER);
    const seed = crypto.getRandomValues(new Int32Array(2));
    header[SEED_LOW] = seed[0]!;
    header[SEED_HIGH] = seed[1]!;
    header[BUCKETS] = buckets;
    header[CELLS] = cells;
    return new SharedTable(buffer);
  }

  /** The table another isolate created. */
  static attach(buffer: SharedArrayBuffer): SharedTable {
    return new SharedTable(buffer);
  }

  /** Entries there is room for. */
  get capacity(): number {
    return this.#usedAt.length;
  }

  /** Entries in use. */
  get used(): number {
    return Atomics.load(this.#ints, USED);
  }

  /** Entries that made room for others so far. */
  get evictions(): number {
    return Atomics.load(this.#ints, EVICTIONS);
  }

  /** Visits the entry of `key`, which is created if need be; returns what `visit` returns. */
  update(key: string, nowMs: number, visit: Visit, argument = 0): number {
    const bucket = this.#bucketOf(key);
    const ticket = this.#lock(bucket);
    try {
      let entry = this.#find(bucket);
      if (entry < 0) entry = this.#create(bucket);
      this.#usedAt[entry] = nowMs;
      return visit(this.#cells, entry * this.#width, argument, nowMs);
    } finally {
      this.#unlock(bucket, ticket);
    }
  }

  /** Visits the entry of `key` if there is one, without counting as a use; else returns `absent`. */
  visit(key: string, nowMs: number, visit: Visit, argument = 0, absent = 0): number {
    const bucket = this.#bucketOf(key);
    const ticket = this.#lock(bucket);
    try {
      const entry = this.#find(bucket);
      return entry < 0 ? absent : visit(this.#cells, entry * this.#width, argument, nowMs);
    } finally {
      this.#unlock(bucket, ticket);
    }
  }

  /** Forgets `key`; says whether it was known. */
  remove(key: string): boolean {
    const bucket = this.#bucketOf(key);
    const ticket = this.#lock(bucket);
    try {
      const entry = this.#find(bucket);
      if (entry < 0) return false;
      this.#tags[2 * entry] = this.#tags[2 * entry + 1] = 0;
      Atomics.sub(this.#ints, USED, 1);
      return true;
    } finally {
      this.#unlock(bucket, ticket);
    }
  }

  /** Sets one number of every entry to 0; for a user whose numbers died with it. */
  clearCell(cell: number): void {
    for (let bucket = 0; bucket <= this.#mask; bucket++) {
      const ticket = this.#lock(bucket);
      for (let way = 0; way < WAYS; way++) this.#cells[(bucket * WAYS + way) * this.#width + cell] = 0;
      this.#unlock(bucket, ticket);
    }
  }

  /** Entry of the key hashed last, in its bucket; -1 when there is none. */
  #find(bucket: number): number {
    const low = this.#hash[0]!;
    const high = this.#hash[1]!;
    const end = (bucket + 1) * WAYS;
    for (let entry = bucket * WAYS; entry < end; entry++) {
      if (this.#tags[2 * entry] === low && this.#tags[2 * entry + 1] === high) return entry;
    }
    return -1;
  }

  /** A zeroed entry for the key hashed last: a free one, else the least recently used. */
  #create(bucket: number): number {
    const first = bucket * WAYS;
    let chosen = first;
    for (let entry = first; entry < first + WAYS; entry++) {
      if (this.#isFree(entry)) {
        chosen = entry;
        break;
      }
      if (this.#usedAt[entry]! < this.#usedAt[chosen]!) chosen = entry;
    }
    Atomics.add(this.#ints, this.#isFree(chosen) ? USED : EVICTIONS, 1);
    this.#tags[2 * chosen] = this.#hash[0]!;
    this.#tags[2 * chosen + 1] = this.#hash[1]!;
    for (let cell = 0; cell < this.#width; cell++) this.#cells[chosen * this.#width + cell] = 0;
    return chosen;
  }

  #isFree(entry: number): boolean {
    return this.#tags[2 * entry] === 0 && this.#tags[2 * entry + 1] === 0;
  }

  /** Takes the lock of a bucket; returns what it has to be given back with. */
  #lock(bucket: number): number {
    const ticket = this.#ticket = (this.#ticket + 2) | 0;
    const at = HEADER + bucket;
    if (Atomics.compareExchange(this.#ints, at, 0, ticket) !== 0) this.#waitFor(at, ticket);
    return ticket;
  }

  #waitFor(at: number, ticket: number): void {
    let waits = 0;
    let waitedFor = 0;
    for (let spins = 0;; spins++) {
      const holder = Atomics.compareExchange(this.#ints, at, 0, ticket);
      if (holder === 0) return;
      if (spins < SPINS) continue;
      if (holder !== waitedFor) waits = 0;
      waitedFor = holder;
      Atomics.wait(this.#ints, at, holder, 1);
      const isAbandoned = ++waits > ABANDONED_WAITS;
      if (isAbandoned && Atomics.compareExchange(this.#ints, at, holder, ticket) === holder) return;
    }
  }

  /** Gives a lock back, unless it was taken over meanwhile. */
  #unlock(bucket: number, ticket: number): void {
    Atomics.compareExchange(this.#ints, HEADER + bucket, ticket, 0);
  }

  /** Hashes `key` into `#hash` and returns its bucket: HalfSipHash-1-3 over UTF-16, two code units a word. */
  #bucketOf(key: string): number {
    const low = this.#ints[SEED_LOW]!;
    const high = this.#ints[SEED_HIGH]!;
    let v0 = low;
    let v1 = high ^ 0xee;
    let v2 = low ^ 0x6c796765;
    let v3 = high ^ 0x74656462;
    const { length } = key;
    // The last word holds what is left over and the length; after it come three rounds, and three more for the other half.
    const words = (length >> 1) + 1;
    for (let word = 0; word < words + 6; word++) {
      let input = 0;
      if (word < words - 1) input = key.charCodeAt(2 * word) | key.charCodeAt(2 * word + 1) << 16;
      else if (word === words - 1) input = (length & 1 ? key.charCodeAt(length - 1) : 0) | length << 16;
      else if (word === words) v2 ^= 0xee;
      else if (word === words + 3) {
        this.#hash[0] = v1 ^ v3;
        v1 ^= 0xdd;
      }
      v3 ^= input;
      v0 = (v0 + v1) | 0;
      v1 = (v1 << 5 | v1 >>> 27) ^ v0;
      v0 = v0 << 16 | v0 >>> 16;
      v2 = (v2 + v3) | 0;
      v3 = (v3 << 8 | v3 >>> 24) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = (v3 << 7 | v3 >>> 25) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = (v1 << 13 | v1 >>> 19) ^ v2;
      v2 = v2 << 16 | v2 >>> 16;
      v0 ^= input;
    }
    this.#hash[1] = v1 ^ v3;
    if (this.#hash[0] === 0 && this.#hash[1] === 0) this.#hash[0] = 1;
    return (this.#hash[0]! ^ this.#hash[1]!) & this.#mask;
  }
}

/** Where the doubles start: behind header, locks and hashes, at a multiple of eight. */
function doublesStart(buckets: number): number {
  return Math.ceil((HEADER + buckets + 2 * WAYS * buckets) * 4 / 8) * 8;
}
