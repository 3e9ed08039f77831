/**
 * bzip2, which crash reporters may compress their dumps with.
 *
 * Why an own decoder: those found elsewhere decode a file in one go, which for a large dump takes seconds in which no
 * other request is answered. This one hands out its output piece by piece, and its reader may pause or stop in between.
 *
 * The format: a file is one or more streams, a stream is `BZh` and a digit, blocks, and a checksum. A block of up to 900
 * kB was shortened by run lengths, sorted (Burrows-Wheeler), made small numbers (move to front), had the runs of zeros
 * among these shortened, and was coded in Huffman codes that change every 50 symbols. Reading undoes this backwards.
 *
 * Limits: output comes in chunks of {@link CHUNK_BYTES}, so the reader decides how much there may be; working memory is
 * four bytes for each of a block.
 */

/** Bytes that are not bzip2, or are damaged. */
export class Bzip2Error extends Error {
  override readonly name = "Bzip2Error";
}

/** Most bytes of one chunk of output. */
const CHUNK_BYTES = 64 * 1024;

/** Handed out between two pieces of work, when nothing is finished yet. */
const NOTHING = new Uint8Array(0);
const GROUPS_PER_TURN = 512;

const BLOCK_UNIT = 100_000;
const CODE_LENGTH_MAX = 20;
const GROUP_SYMBOLS = 50;
const [RUN_A, RUN_B] = [0, 1];

/** The high and low halves of the numbers that announce a block and the end of a stream: pi, and its square root. */
const [BLOCK_HIGH, BLOCK_LOW, END_HIGH, END_LOW] = [0x314159, 0x265359, 0x177245, 0x385090];

/** Bits of a byte array, the highest of each byte first. */
class BitReader {
  #at = 0;
  #bits = 0;
  #count = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** The next `n` bits, at most 24, as a number. */
  read(n: number): number {
    while (this.#count < n) {
      if (this.#at === this.bytes.length) throw new Bzip2Error("cut short");
      this.#bits = (this.#bits << 8) | this.bytes[this.#at++]!;
      this.#count += 8;
    }
    this.#count -= n;
    const value = this.#bits >>> this.#count;
    this.#bits &= (1 << this.#count) - 1;
    return value;
  }

  /** The next 32 bits, as an unsigned number. */
  read32(): number {
    return this.read(16) * 0x10000 + this.read(16);
  }

  /** Goes on at the next whole byte; false when there is none. */
  toNextByte(): boolean {
    this.#bits = this.#count = 0;
    return this.#at < this.bytes.length;
  }
}

/** Huffman codes of one table, by their lengths. */
interface CodeTable {
  readonly shortest: number;
  /** Highest code of each length, and -1 for lengths without codes. */
  readonly highest: Int32Array;
  /** What to add to a code of each length to get its place in `symbols`. */
  readonly offset: Int32Array;
  /** Symbols in the order of their codes. */
  readonly symbols: Uint16Array;
}

/**
 * Decodes all streams of `bytes`, chunk by chunk; chunks may be empty.
 *
 * @throws {Bzip2Error} when they are damaged, cut short or followed by something else; what came before was then yielded
 */
export function* decodeBzip2(bytes: Uint8Array): Generator<Uint8Array, void> {
  const bits = new BitReader(bytes);
  let entries = new Uint32Array(0);
  do {
    if (bits.read(24) !== 0x425a68) throw new Bzip2Error("not bzip2");
    const level = bits.read(8) - 0x30;
    if (level < 1 || level > 9) throw new Bzip2Error("unknown block size");
    let streamCrc = 0;
    while (announcesBlock(bits)) {
      if (entries.length < level * BLOCK_UNIT) entries = new Uint32Array(level * BLOCK_UNIT);
      const expectedCrc = bits.read32();
      const { crc } = yield* expand(yield* readBlock(bits, entries.subarray(0, level * BLOCK_UNIT)));
      if (crc !== expectedCrc) throw new Bzip2Error("block checksum differs");
      streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ crc) >>> 0;
    }
    if (bits.read32() !== streamCrc) throw new Bzip2Error("stream checksum differs");
  } while (bits.toNextByte());
}

function* expand(block: Block): Generator<Uint8Array, Expander> {
  const expander = new Expander(block);
  for (;;) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const filled = expander.fill(chunk);
    if (filled > 0) yield chunk.subarray(0, filled);
    if (filled < CHUNK_BYTES) return expander;
  }
}

function announcesBlock(bits: BitReader): boolean {
  const [high, low] = [bits.read(24), bits.read(24)];
  if (high === BLOCK_HIGH && low === BLOCK_LOW) return true;
  if (high === END_HIGH && low === END_LOW) return false;
  throw new Bzip2Error("neither a block nor the end");
}

/** A block whose sorting is undone by following `entries` from `first`. */
interface Block {
  /** In the low byte a byte of the block, above it the index of the entry that follows. */
  readonly entries: Uint32Array;
  readonly length: number;
  readonly first: number;
}

function* readBlock(bits: BitReader, entries: Uint32Array): Generator<Uint8Array, Block> {
  if (bits.read(1) !== 0) throw new Bzip2Error("block of an obsolete version");
  const origin = bits.read(24);
  const used = readUsedBytes(bits);
  const groups = bits.read(3);
  if (groups < 2 || groups > 6) throw new Bzip2Error("wrong number of code tables");
  const selectors = readSelectors(bits, groups);
  const tables: CodeTable[] = [];
  while (tables.length < groups) tables.push(readCodeTable(bits, used.length + 2));
  const reader = new SymbolReader(bits, used, entries);
  for (let group = 0;; group++) {
    if (group % GROUPS_PER_TURN === 0) yield NOTHING;
    const table = tables[selectors[group] ?? -1];
    if (table === undefined) throw new Bzip2Error("too few code tables");
    if (reader.readGroup(table)) break;
  }
  const { length } = reader;
  if (origin >= length) throw new Bzip2Error("origin outside its block");
  const starts = new Uint32Array(256);
  for (let i = 0; i < length; i++) starts[entries[i]!]!++;
  for (let byte = 0, sum = 0; byte < 256; byte++) {
    sum += starts[byte]!;
    starts[byte] = sum - starts[byte]!;
  }
  for (let i = 0; i < length; i++) entries[starts[entries[i]! & 0xff]!++]! |= i << 8;
  return { entries, length, first: entries[origin]! >>> 8 };
}

/** The bytes that occur in a block, ascending. */
function readUsedBytes(bits: BitReader): Uint8Array {
  const ranges = bits.read(16);
  const used: number[] = [];
  for (let range = 0; range < 16; range++) {
    if ((ranges & (0x8000 >> range)) === 0) continue;
    const members = bits.read(16);
    for (let i = 0; i < 16; i++) if (members & (0x8000 >> i)) used.push(range * 16 + i);
  }
  if (used.length === 0) throw new Bzip2Error("block without bytes");
  return Uint8Array.from(used);
}

/** Which table each group of symbols is coded with. */
function readSelectors(bits: BitReader, groups: number): Uint8Array {
  const selectors = new Uint8Array(bits.read(15));
  const recent = Uint8Array.from({ length: groups }, (_, i) => i);
  for (let i = 0; i < selectors.length; i++) {
    let index = 0;
    while (bits.read(1) === 1) if (++index === groups) throw new Bzip2Error("unknown code table");
    selectors[i] = moveToFront(recent, index);
  }
  return selectors;
}

function moveToFront(recent: Uint8Array, index: number): number {
  const value = recent[index]!;
  // A call costs more than moving a few bytes.
  if (index > 16) recent.copyWithin(1, 0, index);
  else for (let i = index; i > 0; i--) recent[i] = recent[i - 1]!;
  recent[0] = value;
  return value;
}

function readCodeTable(bits: BitReader, symbolCount: number): CodeTable {
  const lengths = new Uint8Array(symbolCount);
  const perLength = new Uint32Array(CODE_LENGTH_MAX + 1);
  let length = bits.read(5);
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    for (;;) {
      if (length < 1 || length > CODE_LENGTH_MAX) throw new Bzip2Error("impossible code length");
      if (bits.read(1) === 0) break;
      length += bits.read(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
    perLength[length]!++;
  }
  const symbols = new Uint16Array(symbolCount);
  const highest = new Int32Array(CODE_LENGTH_MAX + 1).fill(-1);
  const offset = new Int32Array(CODE_LENGTH_MAX + 1);
  const shortest = perLength.findIndex((count) => count > 0);
  for (let bitCount = shortest, code = 0, place = 0; bitCount <= CODE_LENGTH_MAX; bitCount++) {
    offset[bitCount] = place - code;
    for (let symbol = 0; symbol < symbolCount; symbol++) {
      if (lengths[symbol] === bitCount) symbols[place++] = symbol;
    }
    code += perLength[bitCount]!;
    if (perLength[bitCount]! > 0) highest[bitCount] = code - 1;
    code <<= 1;
  }
  return { shortest, highest, offset, symbols };
}

function readSymbol(bits: BitReader, { shortest, highest, offset, symbols }: CodeTable): number {
  let code = bits.read(shortest);
  for (let length = shortest; length <= CODE_LENGTH_MAX; length++) {
    if (code <= highest[length]!) {
      const symbol = symbols[code + offset[length]!];
      if (symbol !== undefined) return symbol;
      break;
    }
    code = (code << 1) | bits.read(1);
  }
  throw new Bzip2Error("unknown code");
}

/** Reads the symbols of a block group by group, and writes the bytes they stand for, still sorted. */
class SymbolReader {
  length = 0;
  readonly #recent: Uint8Array;
  readonly #end: number;
  #run = 0;
  #runUnit = 1;

  constructor(
    private readonly bits: BitReader,
    used: Uint8Array,
    private readonly entries: Uint32Array,
  ) {
    this.#recent = used.slice();
    this.#end = used.length + 1;
  }

  /** Reads the symbols that share a table; true when the block ends with them. */
  readGroup(table: CodeTable): boolean {
    const { bits, entries } = this;
    for (let left = GROUP_SYMBOLS; left > 0; left--) {
      const symbol = readSymbol(bits, table);
      if (symbol === RUN_A || symbol === RUN_B) {
        this.#run += this.#runUnit << symbol;
        this.#runUnit <<= 1;
        if (this.length + this.#run > entries.length) throw new Bzip2Error("block too long");
        continue;
      }
      if (this.#run > 0) this.#endRun();
      if (symbol === this.#end) return true;
      if (this.length === entries.length) throw new Bzip2Error("block too long");
      entries[this.length++] = moveToFront(this.#recent, symbol - 1);
    }
    return false;
  }

  #endRun(): void {
    const start = this.length;
    this.length += this.#run;
    this.entries.fill(this.#recent[0]!, start, this.length);
    this.#run = 0;
    this.#runUnit = 1;
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

/** Puts a block into its order, with the runs of four and more as long as they were. */
class Expander {
  #crc = -1;
  #at: number;
  #left: number;
  #previous = -1;
  #same = 0;
  #copies = 0;
  #output = 0;

  constructor(private readonly block: Block) {
    this.#at = block.first;
    this.#left = block.length;
  }

  /** Checksum of all that was written. */
  get crc(): number {
    return ~this.#crc >>> 0;
  }

  /** Writes as much as there is room for; returns how much that is. */
  fill(chunk: Uint8Array): number {
    const { entries } = this.block;
    let filled = 0;
    for (;;) {
      for (; this.#copies > 0; this.#copies--) {
        if (filled === chunk.length) return filled;
        this.#crc = (this.#crc << 8) ^ CRC_TABLE[(this.#crc >>> 24) ^ this.#output]!;
        chunk[filled++] = this.#output;
      }
      if (this.#left-- <= 0) return filled;
      const entry = entries[this.#at]!;
      const byte = entry & 0xff;
      this.#at = entry >>> 8;
      if (this.#same === 4) {
        this.#copies = byte;
        this.#same = 0;
        this.#previous = -1;
      } else {
        this.#copies = 1;
        this.#output = byte;
        this.#same = byte === this.#previous ? this.#same + 1 : 1;
        this.#previous = byte;
      }
    }
  }
}
