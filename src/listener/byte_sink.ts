import type { BodyBudget } from "./body_budget.ts";
import { decodeSink } from "./decode_sink.ts";
import type { LargeStream } from "./large_stream.ts";

/** Takes bytes as they pass, from one owner who makes one call after the other. */
export interface ByteSink {
  /** Takes the next bytes, which may be changed once it resolved. */
  write(chunk: Uint8Array): Promise<void>;
  /** All has passed. */
  end(): Promise<void>;
  /** Gives back what it holds; harmless after the end. */
  destroy(): void;
}

/** Options of {@link pour}. */
export interface PourOptions {
  /** Most bytes, decoded. */
  readonly limit: number;
  readonly budget: BodyBudget;
  /** Sees the bytes as received, before they are decoded. */
  readonly onPiece?: (piece: Uint8Array) => Promise<void>;
}

/**
 * Reads a body to its end into `sink`, decoded; then the sink is ended, and in any case destroyed.
 *
 * @throws {RequestError} 400, 408, 413 or 503, and what the sink throws
 */
export async function pour(stream: LargeStream, sink: ByteSink, o: PourOptions): Promise<void> {
  const { encoding } = stream;
  const take = (chunk: Uint8Array): Promise<void> => sink.write(chunk);
  const decoder = encoding === "" ? null : decodeSink(encoding, { limit: o.limit, budget: o.budget, take });
  try {
    for await (const piece of stream.pieces()) {
      await o.onPiece?.(piece);
      await (decoder ?? sink).write(piece);
    }
    await decoder?.end();
    await sink.end();
  } finally {
    decoder?.destroy();
    sink.destroy();
  }
}
