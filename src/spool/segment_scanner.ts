/**
 * Reads a segment from one record to the next, however damaged it is.
 *
 * The file is read in chunks; a record inside the chunk at hand is returned without waiting. Chunks are never reused:
 * the meta and body of a record are views into one and stay valid as long as they are held. A chunk is no larger than
 * what there is to read, so that a lone record does not hold on to much.
 *
 * Damage: a body that fails its checksum costs its record, since the header says where the next one starts. A header
 * that fails is skipped by searching for the next one that checks. A header found that way may be part of a client's
 * body made to look like one, so unless its whole record checks, the search goes on right behind it; holes
 * (segment_shrinker.ts) have nothing that could be checked, and the search does not believe in them.
 */
import { decodeHeader, FLAG_HOLE, HEADER_BYTES, MAGIC, payloadChecks, type RecordHeader } from "./record.ts";
import type { StorageFile } from "./storage.ts";

/** Bytes read at once unless a record is larger. */
export const CHUNK_BYTES = 128 * 1024;

/** What comes next in a segment. */
export type ScanStep =
  | {
    readonly kind: "record";
    readonly offset: number;
    readonly bytes: number;
    readonly header: RecordHeader;
    readonly meta: Uint8Array;
    readonly body: Uint8Array;
  }
  /**
   * Bytes that are no record. `isCut`: it reaches the limit, and nothing says that more was written than a torn one.
   * `isHole`: what was there is settled, and was left out.
   */
  | {
    readonly kind: "gap";
    readonly from: number;
    readonly to: number;
    readonly isCut: boolean;
    readonly isHole: boolean;
  }
  | { readonly kind: "end" };

const END: ScanStep = { kind: "end" };

/** Cursor over the records of one file. */
export class SegmentScanner {
  /** Where the next step starts. */
  offset: number;
  /** How far it may read beyond what it is asked for, because the bytes up to there will not change. */
  readAheadTo = 0;
  readonly #file: StorageFile;
  readonly #chunkBytes: number;
  #chunk = new Uint8Array(0);
  #view = new DataView(this.#chunk.buffer);
  #chunkAt = 0;

  constructor(file: StorageFile, offset = 0, chunkBytes = CHUNK_BYTES) {
    this.#file = file;
    this.offset = offset;
    this.#chunkBytes = chunkBytes;
  }

  /**
   * The next step, looking no further than `limit`. Must not be called again before it resolved.
   *
   * @throws {StorageError} the file cannot be read; the same call may be tried again
   */
  next(limit: number): ScanStep | Promise<ScanStep> {
    if (this.offset >= limit) return END;
    return this.#stepInChunk(limit) ?? this.#readAndStep(limit);
  }

  /** The step at the offset, or null when its bytes are not in the chunk or have to be searched for. */
  #stepInChunk(limit: number): ScanStep | null {
    const { offset } = this;
    const header = this.#headerAt(offset);
    if (header === null) return null;
    const bytes = HEADER_BYTES + header.metaBytes + header.bodyBytes;
    if (isHole(header) && offset + bytes <= limit) return this.#skip(offset + bytes, { isHole: true });
    if (!this.#holds(offset, bytes) || offset + bytes > limit) return null;
    return this.#recordAt(offset, bytes, header) ?? this.#skip(offset + bytes);
  }

  async #readAndStep(limit: number): Promise<ScanStep> {
    const { offset } = this;
    if (limit - offset < HEADER_BYTES) return this.#skip(limit, { isCut: true });
    if (!this.#holds(offset, HEADER_BYTES)) await this.#load(offset, HEADER_BYTES, limit);
    const header = this.#headerAt(offset);
    if (header === null) return await this.#search(limit);
    const bytes = HEADER_BYTES + header.metaBytes + header.bodyBytes;
    if (offset + bytes > limit) return this.#skip(limit, { isCut: true });
    if (isHole(header)) return this.#skip(offset + bytes, { isHole: true });
    if (!this.#holds(offset, bytes)) await this.#load(offset, bytes, limit);
    return this.#recordAt(offset, bytes, header) ?? this.#skip(offset + bytes);
  }

  /** The gap up to the next record that checks as a whole, or to the limit. */
  async #search(limit: number): Promise<ScanStep> {
    let isCut = true;
    for (let at = this.offset + 1; limit - at >= HEADER_BYTES; at++) {
      if (!this.#holds(at, HEADER_BYTES)) await this.#load(at, HEADER_BYTES, limit);
      const found = this.#chunk.indexOf(MAGIC[0], at - this.#chunkAt);
      if (found < 0) {
        at = this.#chunkAt + this.#chunk.length - 1;
        continue;
      }
      at = this.#chunkAt + found;
      if (limit - at < HEADER_BYTES) break;
      if (!this.#holds(at, HEADER_BYTES)) await this.#load(at, HEADER_BYTES, limit);
      const header = this.#headerAt(at);
      if (header === null) continue;
      if (isHole(header)) {
        // Holes are made when a segment is complete, so its end is not torn.
        isCut = false;
        continue;
      }
      const bytes = HEADER_BYTES + header.metaBytes + header.bodyBytes;
      if (at + bytes > limit) continue;
      if (!this.#holds(at, bytes)) await this.#load(at, bytes, limit);
      if (payloadChecks(header, this.#slice(at + HEADER_BYTES, at + bytes))) return this.#skip(at);
    }
    return this.#skip(limit, { isCut });
  }

  /** The record, and the offset moved behind it; null when its payload does not check. */
  #recordAt(offset: number, bytes: number, header: RecordHeader): ScanStep | null {
    const bodyAt = offset + HEADER_BYTES + header.metaBytes;
    if (!payloadChecks(header, this.#slice(offset + HEADER_BYTES, offset + bytes))) return null;
    this.offset = offset + bytes;
    const meta = this.#slice(offset + HEADER_BYTES, bodyAt);
    return { kind: "record", offset, bytes, header, meta, body: this.#slice(bodyAt, offset + bytes) };
  }

  #skip(to: number, { isCut = false, isHole = false } = {}): ScanStep {
    const from = this.offset;
    this.offset = to;
    return { kind: "gap", from, to, isCut, isHole };
  }

  #headerAt(at: number): RecordHeader | null {
    if (!this.#holds(at, HEADER_BYTES)) return null;
    return decodeHeader(this.#chunk, this.#view, at - this.#chunkAt);
  }

  #holds(from: number, bytes: number): boolean {
    return from >= this.#chunkAt && from + bytes <= this.#chunkAt + this.#chunk.length;
  }

  #slice(from: number, to: number): Uint8Array {
    return this.#chunk.subarray(from - this.#chunkAt, to - this.#chunkAt);
  }

  /** Replaces the chunk by one that starts at `from` and has `bytes`; beyond the end of the file it is zeros. */
  async #load(from: number, bytes: number, limit: number): Promise<void> {
    const size = Math.max(bytes, Math.min(this.#chunkBytes, Math.max(limit, this.readAheadTo) - from));
    const chunk = new Uint8Array(size);
    for (let filled = 0; filled < size;) {
      const read = await this.#file.read(chunk.subarray(filled), from + filled);
      if (read === 0) break;
      filled += read;
    }
    this.#chunk = chunk;
    this.#view = new DataView(chunk.buffer);
    this.#chunkAt = from;
  }
}

function isHole({ flags }: RecordHeader): boolean {
  return (flags & FLAG_HOLE) !== 0;
}
