/** Who is banned, and what the operator does about it. */
import type { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { type Ban, BanError } from "../guard/ban_list.ts";
import { operatorOnly } from "./operator_only.ts";

/** The ban list of the node. Times are milliseconds. */
export interface BanActions {
  /** Those that end first in front. */
  bans(): Ban[];
  /** @throws {BanError} it cannot be banned */
  ban(address: string, banMs: number, reason: string): Ban;
  /**
   * False when it was not banned.
   *
   * @throws {BanError} it is no address
   */
  unban(address: string): boolean;
}

const BODY_BYTES_MAX = 16 * 1024;
const REASON = "by the operator";

const addition = z.strictObject({
  address: z.string(),
  ms: z.number().int().positive(),
  reason: z.string().default(REASON),
});
const removal = z.strictObject({ address: z.string() });

/**
 * Adds `GET /bans` (`{bans: [{address, untilMs, reason}]}`), `POST /bans` (`{address, ms, reason?}`) and `POST /bans/remove`
 * (`{address}`). A body that is not like that, or names no address, is answered with 400, an unknown ban with 404.
 */
export function addBanRoutes(app: Hono, actions: BanActions): void {
  app.get("/bans", (c) => c.json({ bans: actions.bans() }));
  const limit = bodyLimit({ maxSize: BODY_BYTES_MAX });
  app.post("/bans", operatorOnly, limit, async (c) => {
    const parsed = addition.safeParse(await c.req.json().catch(() => null));
    if (!parsed.success) return c.json({ error: z.prettifyError(parsed.error) }, 400);
    const { address, ms, reason } = parsed.data;
    try {
      return c.json(actions.ban(address, ms, reason));
    } catch (error) {
      if (!(error instanceof BanError)) throw error;
      return c.json({ error: error.message }, 400);
    }
  });
  app.post("/bans/remove", operatorOnly, limit, async (c) => {
    const parsed = removal.safeParse(await c.req.json().catch(() => null));
    if (!parsed.success) return c.json({ error: z.prettifyError(parsed.error) }, 400);
    const { address } = parsed.data;
    try {
      return actions.unban(address)
        ? c.json({ address })
        : c.json({ error: `${address} is not banned` }, 404);
    } catch (error) {
      if (!(error instanceof BanError)) throw error;
      return c.json({ error: error.message }, 400);
    }
  });
}
