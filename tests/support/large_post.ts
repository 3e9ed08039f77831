/** Large envelopes, made while they are sent. */
import { concatBytes, utf8 } from "../../src/core/bytes.ts";
import { extendCrc32 } from "../../src/spool/crc32.ts";
import { TEST_KEY } from "./node_process.ts";

const PIECE_BYTES = 256 * 1024;

/** An envelope with one attachment; the same `seed` makes the same bytes. */
export class LargeEnvelope {
  readonly head: Uint8Array;

  constructor(readonly seed: number, readonly attachmentBytes: number) {
    const id = seed.toString(16).padStart(32, "0");
    this.head = utf8(
      `{"event_id":"${id}"}\n{"type":"attachment","filename":"a.bin","length":${attachmentBytes}}\n`,
    );
  }

  /** Of the whole envelope. */
  get bytes(): number {
    return this.head.length + this.attachmentBytes + 1;
  }

  /** The whole of it in pieces. */
  *pieces(): Generator<Uint8Array> {
    yield this.head;
    const piece = new Uint8Array(PIECE_BYTES).map((_, i) => i * 31 + this.seed * 7 + (i >> 8) & 0xff);
    for (let left = this.attachmentBytes; left > 0; left -= PIECE_BYTES) {
      piece[0] = left & 0xff;
      yield piece.subarray(0, Math.min(left, PIECE_BYTES));
    }
    yield utf8("\n");
  }

  /** CRC-32 of the whole. */
  get crc(): number {
    let crc = 0;
    for (const piece of this.pieces()) crc = extendCrc32(crc, piece);
    return crc;
  }
}

/**
 * Posts an envelope over a connection of its own and resolves with the status of the answer.
 *
 * @param o.stopAfter bytes after which it sends no more and waits for what happens, 0 when the connection ends
 */
export async function postLarge(
  port: number,
  envelope: LargeEnvelope,
  o: { readonly stopAfter?: number; readonly onSent?: () => void } = {},
): Promise<number> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    const { stopAfter = Infinity } = o;
    let sent = 0;
    const head = `POST /api/1/envelope/?sentry_key=${TEST_KEY} HTTP/1.1\r\nHost: localhost\r\n` +
      `Content-Type: application/x-sentry-envelope\r\nContent-Length: ${envelope.bytes}\r\n\r\n`;
    await writeAll(conn, utf8(head));
    for (const piece of envelope.pieces()) {
      if (sent >= stopAfter) break;
      await writeAll(conn, piece);
      sent += piece.length;
    }
    o.onSent?.();
    return await statusOf(conn);
  } catch {
    return 0;
  } finally {
    conn.close();
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
