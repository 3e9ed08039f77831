import type { BodyBudget } from "./body_budget.ts";
import type { Body } from "./body_reader.ts";
import type { ByteSink } from "./byte_sink.ts";
import { decodeSink } from "./decode_sink.ts";
import { LargeStream } from "./large_stream.ts";

/** Options of {@link pour}. */
export interface PourOptions {
  /** Most bytes, decoded. */
  readonly limit: number;
  readonly budget: BodyBudget;
  /** Sees the pieces of a large body as received, before they are decoded. */
  readonly onPiece?: (piece: Uint8Array) => void | Promise<void>;
}

/**
 * Reads a body to its end into `sink`, decoded; then the sink is ended, and in any case destroyed.
 *
 * @throws {RequestError} 400, 408, 413 or 503, and what the sink throws
 */
export async function pour(
  body: Pick<Body, "decoded"> | LargeStream,
  sink: ByteSink,
  options: PourOptions,
): Promise<void> {
  try {
    if (body instanceof LargeStream) await pourStream(body, sink, options);
    else await sink.write(body.decoded);
    await sink.end();
  } finally {
    await sink.destroy();
  }
}

async function pourStream(
  stream: LargeStream,
  sink: ByteSink,
  { limit, budget, onPiece }: PourOptions,
): Promise<void> {
  const { encoding } = stream;
  const take = (chunk: Uint8Array): Promise<void> => sink.write(chunk);
  const decoder = encoding === "" ? null : decodeSink(encoding, { limit, budget, take });
  try {
    for await (const piece of stream.pieces()) {
      await onPiece?.(piece);
      await (decoder ?? sink).write(piece);
    }
    await decoder?.end();
  } finally {
    await decoder?.destroy();
  }
}
