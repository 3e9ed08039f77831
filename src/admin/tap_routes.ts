/** Looking at envelopes as they pass. */
import type { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import type { TapFilter } from "../telemetry/tap_event.ts";
import { operatorOnly } from "./operator_only.ts";

/** What an operator wants to see, and how much of it. */
export interface TapRequest extends Omit<TapFilter, "id"> {
  /** Keys, addresses and secrets as they are. */
  readonly raw: boolean;
  readonly max: number;
  readonly seconds: number;
}

/** Taps of a node. */
export interface TapActions {
  /** Lines of JSON until the tap ends or its reader goes; null when there are too many taps. */
  tap(request: TapRequest): ReadableStream<Uint8Array> | null;
}

const BODY_BYTES_MAX = 4096;
const MAX_MAX = 1_000_000;
const SECONDS_MAX = 86_400;

const schema = z.strictObject({
  project: z.string().exactOptional(),
  key: z.string().exactOptional(),
  item: z.string().exactOptional(),
  outcome: z.string().exactOptional(),
  event: z.string().exactOptional(),
  bodies: z.boolean().default(false),
  raw: z.boolean().default(false),
  max: z.number().int().min(1).max(MAX_MAX).default(1000),
  seconds: z.number().positive().max(SECONDS_MAX).default(60),
});

/**
 * Adds `POST /tap`: answered with lines of JSON, the first when all halves of all lanes show, the last with what was dropped. A
 * POST, although it changes nothing, because it hands out what clients sent: web pages shall not ask for it.
 */
export function addTapRoutes(app: Hono, actions: TapActions): void {
  app.post("/tap", operatorOnly, bodyLimit({ maxSize: BODY_BYTES_MAX }), async (c) => {
    const parsed = schema.safeParse(await c.req.json().catch(() => null));
    if (!parsed.success) return c.json({ error: z.prettifyError(parsed.error) }, 400);
    const lines = actions.tap(parsed.data);
    if (lines === null) return c.json({ error: "too many taps are open" }, 503);
    return c.body(lines, 200, { "content-type": "application/x-ndjson" });
  });
}
