/** Large bodies, made while they are sent. */
import { concatBytes, utf8 } from "../../src/core/bytes.ts";
import { encodeFormData } from "../../src/protocol/form_data.ts";
import { extendCrc32 } from "../../src/spool/crc32.ts";
import { TEST_KEY } from "./node_process.ts";

const PIECE_BYTES = 256 * 1024;
const BOUNDARY = "----boundary";

/** A body that {@link postLarge} sends. */
export interface LargePost {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the whole body. */
  readonly bytes: number;
  /** The whole of it in pieces, each good until the next. */
  pieces(): Iterable<Uint8Array>;
}

/** Bytes that compress to about a hundredth, the same for the same seed. */
function* filling(seed: number, bytes: number): Generator<Uint8Array> {
  const piece = new Uint8Array(PIECE_BYTES).map((_, i) => i * 31 + seed * 7 + (i >> 8) & 0xff);
  for (let left = bytes; left > 0; left -= PIECE_BYTES) {
    piece[0] = left & 0xff;
    yield piece.subarray(0, Math.min(left, PIECE_BYTES));
  }
}

function crcOf(pieces: Iterable<Uint8Array>): number {
  let crc = 0;
  for (const piece of pieces) crc = extendCrc32(crc, piece);
  return crc;
}

const idOf = (seed: number): string => seed.toString(16).padStart(32, "0");

/** An envelope with one attachment; the same `seed` makes the same bytes. */
export class LargeEnvelope implements LargePost {
  readonly path = `/api/1/envelope/?sentry_key=${TEST_KEY}`;
  readonly headers = { "content-type": "application/x-sentry-envelope" };
  readonly head: Uint8Array;

  constructor(readonly seed: number, readonly attachmentBytes: number) {
    this.head = utf8(
      `{"event_id":"${idOf(seed)}"}\n{"type":"attachment","filename":"a.bin","length":${attachmentBytes}}\n`,
    );
  }

  get bytes(): number {
    return this.head.length + this.attachmentBytes + 1;
  }

  *pieces(): Generator<Uint8Array> {
    yield this.head;
    yield* filling(this.seed, this.attachmentBytes);
    yield utf8("\n");
  }

  /** CRC-32 of the whole. */
  get crc(): number {
    return crcOf(this.pieces());
  }
}

/** A crash report by form: a dump, and behind it the field with the id; the same `seed` makes the same bytes. */
export class LargeReport implements LargePost {
  readonly path = `/api/1/minidump/?sentry_key=${TEST_KEY}`;
  readonly headers = { "content-type": `multipart/form-data; boundary=${BOUNDARY}` };
  readonly head = utf8(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="upload_file_minidump"; filename="a.dmp"\r\n\r\nMDMP`,
  );
  readonly tail: Uint8Array;

  /** @param dumpBytes without the four that it begins with */
  constructor(readonly seed: number, readonly dumpBytes: number) {
    this.tail = utf8(
      `\r\n--${BOUNDARY}\r\nContent-Disposition: form-data; name="sentry[event_id]"\r\n\r\n${
        idOf(seed)
      }\r\n` +
        `--${BOUNDARY}--\r\n`,
    );
  }

  get bytes(): number {
    return this.head.length + this.dumpBytes + this.tail.length;
  }

  *pieces(): Generator<Uint8Array> {
    yield this.head;
    yield* filling(this.seed, this.dumpBytes);
    yield this.tail;
  }

  /** The envelope that it becomes, in pieces; behind lengths there is room for longer ones. */
  *envelope(): Generator<Uint8Array> {
    const length = (bytes: number): string => `"length":${String(bytes).padEnd(15)}}\n`;
    const id = idOf(this.seed);
    const fields = encodeFormData([["sentry[event_id]", id]]);
    yield utf8(
      `{"event_id":"${id}"}\n{"type":"attachment","attachment_type":"event.minidump","filename":"a.dmp",` +
        `"content_type":"application/x-dmp",${length(this.dumpBytes + 4)}MDMP`,
    );
    yield* filling(this.seed, this.dumpBytes);
    yield utf8(`\n{"type":"form_data","content_type":"text/plain",${length(fields.length)}`);
    yield concatBytes([fields, utf8("\n")]);
  }

  /** CRC-32 of the envelope. */
  get crc(): number {
    return crcOf(this.envelope());
  }

  /** Bytes of the envelope. */
  get envelopeBytes(): number {
    let bytes = 0;
    for (const piece of this.envelope()) bytes += piece.length;
    return bytes;
  }
}

/** Another body in an encoding, made beforehand. */
export class EncodedPost implements LargePost {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly #body: Uint8Array;

  constructor(post: LargePost, encoding: string, encode: (bytes: Uint8Array) => Uint8Array) {
    this.path = post.path;
    this.headers = { ...post.headers, "content-encoding": encoding };
    this.#body = encode(concatBytes([...post.pieces()].map((piece) => piece.slice())));
  }

  get bytes(): number {
    return this.#body.length;
  }

  *pieces(): Generator<Uint8Array> {
    for (let at = 0; at < this.bytes; at += PIECE_BYTES) yield this.#body.subarray(at, at + PIECE_BYTES);
  }
}

/**
 * Posts a body over a connection of its own and resolves with the status of the answer.
 *
 * @param o.conn a connection to use instead, which its owner closes
 * @param o.stopAfter bytes after which it sends no more and waits for what happens, 0 when the connection ends
 */
export async function postLarge(
  port: number,
  post: LargePost,
  o: { readonly stopAfter?: number; readonly onSent?: () => void; readonly conn?: Deno.Conn } = {},
): Promise<number> {
  const conn = o.conn ?? await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    const { stopAfter = Infinity } = o;
    let sent = 0;
    const fields = Object.entries({ host: "localhost", "content-length": post.bytes, ...post.headers });
    const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    await writeAll(conn, utf8(`POST ${post.path} HTTP/1.1\r\n${head}\r\n`));
    for (const piece of post.pieces()) {
      if (sent >= stopAfter) break;
      await writeAll(conn, piece);
      sent += piece.length;
    }
    o.onSent?.();
    return await statusOf(conn);
  } catch {
    return 0;
  } finally {
    if (!o.conn) conn.close();
  }
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

async function statusOf(conn: Deno.Conn): Promise<number> {
  let answer = new Uint8Array(0);
  for (;;) {
    const chunk = new Uint8Array(4096);
    const bytes = await conn.read(chunk);
    if (bytes === null) return 0;
    answer = new Uint8Array(concatBytes([answer, chunk.subarray(0, bytes)]));
    const status = /^HTTP\/1\.1 (\d{3}) [^]*\r\n\r\n/.exec(new TextDecoder().decode(answer))?.[1];
    if (status !== undefined) return Number(status);
  }
}
