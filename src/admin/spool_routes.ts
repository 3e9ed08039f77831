/**
 * The changing requests of the admin listener: what the operator does to the dead letters of a running node.
 *
 * The listener has no login, and browsers of the machine can reach the loopback. So a request must carry a header that
 * a web page can only send with a permission nobody gives it, and must not carry `Origin`, which browsers add to every
 * POST; the second keeps pages out whose name was made to point at the loopback.
 */
import type { Hono } from "hono";

/** Header every changing request has to carry, with the value `1`. */
export const ADMIN_HEADER = "X-Landfall-Admin";

/** What the node does to its dead letters. Errors are answered with 503 and their message. */
export interface DeadLetterActions {
  /** Makes all dead records wait again. */
  requeue(): Promise<{ readonly records: number; readonly bytes: number; readonly damaged: number }>;
  /** Deletes all dead records. */
  purge(): Promise<{ readonly bytes: number }>;
}

/** Adds `POST /spool/requeue` and `POST /spool/purge`; both answer with what they did, as JSON. */
export function addSpoolRoutes(app: Hono, actions: DeadLetterActions): void {
  app.use("/spool/*", async (c, next) => {
    const isPage = c.req.header("origin") !== undefined || c.req.header(ADMIN_HEADER) !== "1";
    if (isPage) return c.json({ error: `the header ${ADMIN_HEADER}: 1 is missing` }, 403);
    return await next();
  });
  for (const action of ["requeue", "purge"] as const) {
    app.post(`/spool/${action}`, async (c) => {
      try {
        return c.json(await actions[action]());
      } catch (error) {
        return c.json({ error: error instanceof Error ? error.message : String(error) }, 503);
      }
    });
  }
}
