/**
 * Keeps changing requests of web pages out of the admin listener.
 *
 * The listener has no login, and browsers of the machine can reach the loopback. So a request must carry a header that
 * a web page can only send with a permission nobody gives it, and must not carry `Origin`, which browsers add to every
 * POST; the second keeps pages out whose name was made to point at the loopback.
 */
import type { MiddlewareHandler } from "hono";

/** Header every changing request has to carry, with the value `1`. */
export const ADMIN_HEADER = "X-Landfall-Admin";

/** Answers 403 to what an operator's program did not send. */
export const operatorOnly: MiddlewareHandler = async (c, next) => {
  const isPage = c.req.header("origin") !== undefined || c.req.header(ADMIN_HEADER) !== "1";
  if (isPage) return c.json({ error: `the header ${ADMIN_HEADER}: 1 is missing` }, 403);
  return await next();
};
