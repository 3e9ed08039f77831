/** What the forward half does with records whose bodies have files of their own. */
import { enforceLimits, type Enforcement } from "../projects/enforce_limits.ts";
import { decodeChunks } from "../protocol/content_coding.ts";
import { EnvelopeScanner, type ScannedEnvelope } from "../protocol/envelope.ts";
import { envelopeParts, selectParts } from "../protocol/envelope_ranges.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import type { BodyEncoding } from "../protocol/request_meta.ts";
import type { LargeBody } from "../spool/large_body.ts";
import { LargeBodyLost } from "../spool/large_reader.ts";
import type { PartitionReader } from "../spool/partition_reader.ts";
import { BodyLostError, type StreamedBody } from "../upstream/forward_source.ts";

/** The body of a record, as the upstream's side takes it. */
export function streamOf(reader: Pick<PartitionReader, "readLarge">, large: LargeBody): StreamedBody {
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* reader.readLarge(large);
    } catch (error) {
      throw error instanceof LargeBodyLost ? new BodyLostError(error.message) : error;
    }
  };
  return { bytes: large.bytes, chunks };
}

/** A large envelope held against limits. */
export interface LimitedStream extends Enforcement {
  /** What is left of it, decoded; null when nothing was taken out. */
  readonly body: StreamedBody | null;
}

/**
 * Takes out of a large envelope what is limited, without holding it: it is read once to find its items, and what is
 * kept is picked out while it is sent. Null when it cannot be read; whoever sends it finds out why.
 */
export async function limitStream(
  stream: StreamedBody,
  o: {
    readonly encoding: BodyEncoding;
    readonly limits: readonly RateLimit[];
    readonly nowMs: number;
    readonly decodedBytesMax: number;
  },
): Promise<LimitedStream | null> {
  const envelope = await scan(stream, o.encoding, o.decodedBytesMax);
  if (envelope === null) return null;
  const enforced = enforceLimits(envelope.items, o.limits, o.nowMs);
  if (enforced.kept.length === envelope.items.length) return { ...enforced, body: null };
  const parts = envelopeParts(envelope, { items: enforced.kept });
  const bytes = parts.reduce(
    (sum, part) => sum + (part instanceof Uint8Array ? part.length : part.to - part.from),
    0,
  );
  const chunks = (): AsyncIterable<Uint8Array> =>
    selectParts(decodeChunks(stream.chunks(), o.encoding, o.decodedBytesMax), parts);
  return { ...enforced, body: { bytes, chunks } };
}

async function scan(
  stream: StreamedBody,
  encoding: BodyEncoding,
  decodedBytesMax: number,
): Promise<ScannedEnvelope | null> {
  const scanner = new EnvelopeScanner();
  try {
    for await (const chunk of decodeChunks(stream.chunks(), encoding, decodedBytesMax)) scanner.push(chunk);
    return scanner.finish();
  } catch {
    return null;
  }
}
