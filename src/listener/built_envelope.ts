/**
 * Bodies that an endpoint makes an envelope of while they arrive, for endpoints whose requests hold none: small ones are
 * held, others written to the spool (`spilling_body.ts`).
 *
 * What can be refused is refused as soon as it is known, in the order in which it comes. A request that ends early, for
 * whatever reason, leaves nothing behind.
 */
import { totalQuantities } from "../protocol/item_type.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import { LARGE_BYTES_MIN } from "../spool/large_body.ts";
import type { Answer } from "./answer.ts";
import type { ByteSink } from "./byte_sink.ts";
import { EnvelopeWriter } from "./envelope_writer.ts";
import type { IncomingRequest } from "./incoming_request.ts";
import { unlessFull } from "./into_spool.ts";
import { LargeStream } from "./large_stream.ts";
import { pour } from "./pour.ts";
import { requestOrigin } from "./sender_meta.ts";
import { relaySignature } from "./sender.ts";
import { SpillingBody } from "./spilling_body.ts";
import { type IngestionDeps, type Sender, submitBuilt } from "./submission.ts";

/** What {@link submitBody} makes an envelope of. */
export interface BuiltBody {
  /** Most bytes of the body, received and again decoded. */
  readonly limit: number;
  /** Further keys of the envelope's header. */
  readonly headers?: object;
  /** Takes the body, decoded, and writes the items. */
  readonly sink: (writer: EnvelopeWriter) => ByteSink;
  /** The id, asked for when the body has ended; throws {@link RequestError} when something of it is missing. */
  readonly eventId: () => string;
  /** The answer, with the limits that matched. */
  readonly word: (limits: readonly RateLimit[]) => Answer;
}

/**
 * Receives a body, hands the envelope that it becomes inwards and words the answer; without items there is none.
 *
 * @throws {RequestError}
 */
export async function submitBody(
  deps: IngestionDeps,
  request: IncomingRequest,
  sender: Sender,
  { limit, headers, sink, eventId, word }: BuiltBody,
): Promise<Answer> {
  const { bodies: { budget }, ingress } = deps;
  const received = await deps.bodies.open(request, limit);
  const isLarge = received instanceof LargeStream;
  const open = () => ingress.openLarge();
  const body = new SpillingBody({ bytesMax: isLarge ? 0 : LARGE_BYTES_MIN, budget, open });
  const writer = new EnvelopeWriter(body, headers);
  const scope = () => ({
    key: sender.auth.key,
    projectId: sender.projectId,
    quantities: totalQuantities(writer.items),
  });
  const write = async (): Promise<Answer> => {
    const onPiece = () => screen(deps, request, sender, writer);
    await pour(received, sink(writer), { limit, budget, onPiece });
    const id = eventId();
    if (writer.items.length === 0) return word([]);
    const envelope = await writer.finish(id);
    return word(await submitBuilt(deps, request, sender, { envelope, body: body.content }));
  };
  try {
    return await unlessFull(deps, request, scope, write, word);
  } finally {
    await body.discard();
    if (!isLarge) received.release();
  }
}

/** Whether more of it is worth receiving. */
function screen(
  { ingress }: IngestionDeps,
  request: IncomingRequest,
  { auth, projectId }: Sender,
  { items }: EnvelopeWriter,
): void {
  // Nothing would be accounted for yet.
  if (items.length === 0) return;
  const { receivedAtMs } = request;
  const asking = { key: auth.key, projectId, origin: requestOrigin(request), requiredFeatures: [] };
  try {
    ingress.screen({ ...asking, ...relaySignature(request), receivedAtMs }, items);
  } catch (error) {
    request.isSubmitted = true;
    throw error;
  }
}
