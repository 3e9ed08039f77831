/**
 * Envelopes that are too large to be held: written to the spool as they arrive, and read as they pass.
 *
 * What can be refused is refused as soon as it is known: a malformed header, an item beyond its limit, a project that is
 * closed. A request that ends early, for whatever reason, leaves nothing behind.
 *
 * Limits: in memory is what is gathered for a write (`large_stream.ts`), the header at hand, and the payload of an event.
 */
import { EnvelopeScanner } from "../protocol/envelope.ts";
import { totalQuantities } from "../protocol/item_type.ts";
import type { Answer } from "./answer.ts";
import type { ByteSink } from "./byte_sink.ts";
import type { IncomingRequest } from "./incoming_request.ts";
import { intoSpool } from "./into_spool.ts";
import type { LargeStream } from "./large_stream.ts";
import { pour } from "./pour.ts";
import { requestOrigin } from "./sender_meta.ts";
import { relaySignature } from "./sender.ts";
import { type IngestionDeps, type Sender, submitScanned } from "./submission.ts";

/** What {@link submitLargeEnvelope} takes. */
export interface LargeEnvelopeRequest {
  readonly stream: LargeStream;
  /** Most bytes, decoded. */
  readonly limit: number;
  /** Who sends it, given the first line of the envelope; throws {@link RequestError}. */
  readonly sender: (firstLine: Uint8Array) => Sender;
}

/**
 * Receives an envelope, hands it inwards and words the answer, as `submitEnvelope` does.
 *
 * @throws {RequestError}
 */
export async function submitLargeEnvelope(
  deps: IngestionDeps,
  request: IncomingRequest,
  { stream, limit, sender: senderOf }: LargeEnvelopeRequest,
): Promise<Answer> {
  const { ingress } = deps;
  const scanner = new EnvelopeScanner();
  let sender: Sender | null = null;
  let screened = 0;
  const screen = (): void => {
    const { head, items } = scanner;
    if (head === null) return;
    sender ??= senderOf(scanner.firstLine);
    if (items.length === screened) return;
    screened = items.length;
    const { required_features: requiredFeatures = [] } = head.headers;
    const projectId = sender.projectId || (head.dsn?.projectId ?? "");
    const asking = { key: sender.auth.key, projectId, origin: requestOrigin(request), requiredFeatures };
    try {
      ingress.screen({ ...asking, ...relaySignature(request), receivedAtMs: request.receivedAtMs }, items);
    } catch (error) {
      request.isSubmitted = true;
      throw error;
    }
  };
  const { encoding } = stream;
  // That it decodes to too much comes before what it decodes to, as in a Relay, which decodes first.
  let fault: unknown = null;
  const scan = (chunk: Uint8Array): void => {
    try {
      if (fault === null) scanner.push(chunk);
    } catch (error) {
      if (encoding === "") throw error;
      fault = error;
    }
  };
  const sink: ByteSink = {
    write: (chunk) =>
      Promise.try(() => {
        scan(chunk);
        screen();
      }),
    end: () => fault === null ? Promise.resolve() : Promise.reject(fault),
    destroy: () => Promise.resolve(),
  };
  const scope = () => ({
    key: sender?.auth.key ?? "",
    projectId: sender?.projectId ?? "",
    quantities: totalQuantities(scanner.items),
  });
  return await intoSpool(deps, request, scope, async (upload) => {
    const onPiece = (piece: Uint8Array): Promise<void> => upload.write([piece]);
    await pour(stream, sink, { limit, budget: deps.bodies.budget, onPiece });
    const envelope = scanner.finish();
    sender ??= senderOf(scanner.firstLine);
    return await submitScanned(deps, request, sender, { envelope, upload, encoding });
  });
}
