import type { Envelope, EnvelopeItem } from "../../protocol/envelope.ts";
import { parseSamplingContext } from "../../protocol/sampling_context.ts";

/**
 * Key of the other project whose trace rules decide on an envelope's transaction; `null` when it has none, or its trace
 * began in its own project. Source: control reference, section 8.
 */
export function traceRoot(
  { headers }: Pick<Envelope, "headers">,
  items: readonly EnvelopeItem[],
  key: string,
): string | null {
  if (headers.trace === undefined || !items.some(({ type }) => type.type === "transaction")) return null;
  if ((headers.trace as { readonly public_key?: unknown } | null)?.public_key === key) return null;
  const root = parseSamplingContext(headers.trace)?.publicKey ?? null;
  return root === key ? null : root;
}
