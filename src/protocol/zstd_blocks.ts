/** Why a zstd body cannot be decoded. */
export class ZstdError extends Error {
  override readonly name = "ZstdError";
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const BLOCK_BYTES_MAX = 128 * 1024;
const BLOCK_HEADER_BYTES = 3;
const [BLOCK_RLE, BLOCK_RESERVED] = [1, 3];

/** Most blocks of a body: encoders make 8 of a MiB, and each costs a call of the decoder, however little it holds. */
const BLOCKS_MAX = 64 * 1024;

/** What the bytes at hand are, once as many as are needed have come. */
type State = "magic" | "frame" | "block" | "content" | "checksum";

/**
 * Cuts a zstd body that arrives in chunks into what its decoder can be trusted with (RFC 8878, section 3): each piece is
 * one block, with the header of its frame before it if it is the first, or a checksum.
 *
 * Limits: {@link BLOCKS_MAX} blocks, a piece of some 128 KiB.
 */
export class ZstdBlocks {
  #state: State = "magic";
  #piece = new Uint8Array(64);
  #have = 0;
  #need = 4;
  #skip = 0;
  #blocks = 0;
  #isLast = false;
  #hasChecksum = false;
  readonly #onWindow: (bytes: number) => void;

  /** @param onWindow called with the memory that decoding the next frame takes; what it throws ends the cutting */
  constructor(onWindow: (bytes: number) => void) {
    this.#onWindow = onWindow;
  }

  /**
   * The pieces that `chunk` completes; each is good until the next is asked for.
   *
   * @throws {ZstdError}
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < chunk.length;) {
      const skipped = Math.min(this.#skip, chunk.length - at);
      this.#skip -= skipped;
      at += skipped;
      const taken = Math.min(this.#need - this.#have, chunk.length - at);
      this.#add(chunk.subarray(at, at + taken));
      at += taken;
      while (this.#have === this.#need && this.#skip === 0) {
        if (this.#step()) yield this.#take();
      }
    }
  }

  /**
   * All was pushed.
   *
   * @throws {ZstdError} unless a frame had just ended
   */
  end(): void {
    if (this.#state !== "magic" || this.#have > 0 || this.#skip > 0) throw new ZstdError("ends too early");
  }

  #add(bytes: Uint8Array): void {
    if (this.#need > this.#piece.length) {
      const larger = new Uint8Array(Math.min(this.#need * 2, BLOCK_BYTES_MAX + 64));
      larger.set(this.#piece.subarray(0, this.#have));
      this.#piece = larger;
    }
    this.#piece.set(bytes, this.#have);
    this.#have += bytes.length;
  }

  /** Looks at what has come and says how much more is needed; true when it is a piece. */
  #step(): boolean {
    switch (this.#state) {
      case "magic":
        this.#readMagic();
        return false;
      case "frame":
        this.#readFrameHeader();
        return false;
      case "block":
        this.#readBlockHeader();
        return false;
      case "content":
        if (!this.#isLast) this.#expect("block", BLOCK_HEADER_BYTES);
        else if (this.#hasChecksum) this.#expect("checksum", 4);
        else this.#expect("magic", 4);
        return true;
      case "checksum":
        this.#expect("magic", 4);
        return true;
    }
  }

  /** What has come, as a piece; what is needed next begins behind it. */
  #take(): Uint8Array {
    const piece = this.#piece.subarray(0, this.#have);
    this.#need -= this.#have;
    this.#have = 0;
    return piece;
  }

  #expect(state: State, bytes: number): void {
    this.#state = state;
    this.#need += bytes;
  }

  #readMagic(): void {
    const view = new DataView(this.#piece.buffer);
    const magic = view.getUint32(0, true);
    if (magic === MAGIC) this.#expect("frame", 1);
    else if ((magic & 0xfffffff0) !== SKIPPABLE_MAGIC) throw new ZstdError("not zstd");
    else if (this.#need === 4) this.#need = 8;
    else {
      this.#skip = view.getUint32(4, true);
      [this.#have, this.#need] = [0, 4];
    }
  }

  #readFrameHeader(): void {
    const descriptor = this.#piece[4]!;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const sizeBytes = isSingleSegment && descriptor >> 6 === 0 ? 1 : CONTENT_SIZE_BYTES[descriptor >> 6]!;
    const dictionaryBytes = DICTIONARY_ID_BYTES[descriptor & 3]!;
    const headerBytes = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
    if (this.#need < headerBytes) {
      this.#need = headerBytes;
      return;
    }
    this.#onWindow(
      isSingleSegment ? this.#contentSize(headerBytes - sizeBytes, sizeBytes) : this.#windowSize(),
    );
    this.#hasChecksum = (descriptor & 0x04) !== 0;
    this.#expect("block", BLOCK_HEADER_BYTES);
  }

  #windowSize(): number {
    const descriptor = this.#piece[5]!;
    const base = 2 ** (10 + (descriptor >> 3));
    return base + base / 8 * (descriptor & 7);
  }

  #contentSize(at: number, bytes: number): number {
    let size = bytes === 2 ? 256 : 0;
    for (let i = 0; i < bytes; i++) size += this.#piece[at + i]! * 2 ** (8 * i);
    return size;
  }

  #readBlockHeader(): void {
    const at = this.#have - BLOCK_HEADER_BYTES;
    const header = this.#piece[at]! | this.#piece[at + 1]! << 8 | this.#piece[at + 2]! << 16;
    const type = header >> 1 & 3;
    if (type === BLOCK_RESERVED || header >> 3 > BLOCK_BYTES_MAX) throw new ZstdError("a malformed block");
    if (++this.#blocks > BLOCKS_MAX) throw new ZstdError("too many blocks");
    this.#isLast = (header & 1) === 1;
    this.#expect("content", type === BLOCK_RLE ? 1 : header >> 3);
  }
}
