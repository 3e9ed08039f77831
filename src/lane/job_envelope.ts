/** How the forward half reads the envelopes of records, held or in files of their own, and keeps some of their items. */
import { concatBytes } from "../core/bytes.ts";
import { decodeChunks } from "../protocol/content_coding.ts";
import {
  type Envelope,
  type EnvelopeItem,
  EnvelopeScanner,
  parseEnvelope,
  rewriteEnvelope,
  type ScannedEnvelope,
} from "../protocol/envelope.ts";
import { envelopeParts, selectParts } from "../protocol/envelope_ranges.ts";
import type { BodyEncoding } from "../protocol/request_meta.ts";
import type { LargeBody } from "../spool/large_body.ts";
import { LargeBodyLost } from "../spool/large_reader.ts";
import type { PartitionReader } from "../spool/partition_reader.ts";
import type { BodyEncoder } from "../upstream/body_encoding.ts";
import { BodyLostError, type ForwardJob, type StreamedBody } from "../upstream/forward_source.ts";

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

/** The envelope of a record. */
export interface ReadEnvelope {
  readonly envelope: Envelope;
  /** What is sent when only these items are, decoded. */
  readonly keep: (items: readonly EnvelopeItem[]) => Pick<ForwardJob, "body" | "stream">;
}

/** Reads the envelope of a record; null when it cannot be decoded or had. */
export async function readEnvelope(
  { meta, body, stream }: Pick<ForwardJob, "meta" | "body" | "stream">,
  encoder: Pick<BodyEncoder, "decode">,
): Promise<ReadEnvelope | null> {
  const encoding = meta.contentEncoding;
  if (stream) {
    const envelope = await scanStream(stream, encoding);
    return envelope && {
      envelope,
      keep: (items) => ({ body, stream: keepOfStream(stream, { envelope, items, encoding }) }),
    };
  }
  const bytes = await encoder.decode({ bytes: body, encoding });
  if (bytes === null) return null;
  const envelope = parseEnvelope(bytes);
  return {
    envelope,
    keep: (items) => ({ body: concatBytes(rewriteEnvelope(envelope, { items })), stream: null }),
  };
}

/**
 * Reads a large envelope to find its items, without holding it. Null when it cannot be read; whoever sends it finds out
 * why.
 */
async function scanStream(
  stream: StreamedBody,
  encoding: BodyEncoding,
): Promise<ScannedEnvelope | null> {
  const scanner = new EnvelopeScanner();
  try {
    for await (const chunk of decodeChunks(stream.chunks(), encoding)) scanner.push(chunk);
    return scanner.finish();
  } catch {
    return null;
  }
}

/** A large envelope with these items of it alone, decoded, picked out while it is sent. */
function keepOfStream(
  stream: StreamedBody,
  { envelope, items, encoding }: {
    readonly envelope: ScannedEnvelope;
    readonly items: readonly EnvelopeItem[];
    readonly encoding: BodyEncoding;
  },
): StreamedBody {
  const parts = envelopeParts(envelope, { items });
  const bytes = parts.reduce(
    (sum, part) => sum + (part instanceof Uint8Array ? part.length : part.to - part.from),
    0,
  );
  return { bytes, chunks: () => selectParts(decodeChunks(stream.chunks(), encoding), parts) };
}
