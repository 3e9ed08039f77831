import { decodeChunks } from "../protocol/content_coding.ts";
import type { EnvelopeChange, ScannedEnvelope } from "../protocol/envelope.ts";
import { envelopeParts, selectParts } from "../protocol/envelope_ranges.ts";
import type { BodyEncoding } from "../protocol/request_meta.ts";
import type { LargeUpload } from "../spool/large_upload.ts";
import type { RecordSink } from "./submit.ts";

/** A large envelope that has arrived, to be stored changed. */
export interface LargeRewrite {
  readonly envelope: ScannedEnvelope;
  readonly body: LargeUpload;
  readonly encoding: BodyEncoding;
  readonly change: EnvelopeChange;
}

/**
 * Copies what is to be kept of a large envelope into a file of its own, decoded; the old one is its owner's to discard.
 *
 * @throws {SpoolError}
 */
export async function rewriteLarge(sink: RecordSink, o: LargeRewrite): Promise<LargeUpload> {
  const upload = await sink.openLarge();
  try {
    const decoded = decodeChunks(o.body.read(), o.encoding);
    for await (const chunk of selectParts(decoded, envelopeParts(o.envelope, o.change))) {
      await upload.write([chunk]);
    }
    return upload;
  } catch (error) {
    await upload.discard();
    throw error;
  }
}
