/**
 * Keeps changing requests of web pages out of the admin listener.
 *
 * Without a token the listener has no login, and browsers of the machine can reach the loopback. So a request must carry a header that
 * a web page can only send with a permission nobody gives it, and must not carry `Origin`, which browsers add to every
 * POST; the second keeps pages out whose name was made to point at the loopback. Whoever has brought the token
 * (`admin.token`) is no page: browsers add it to nothing.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { signInPage } from "./sign_in_page.ts";

/** Header every changing request has to carry, with the value `1`. */
export const ADMIN_HEADER = "X-Landfall-Admin";

/** Requests that have brought the token. */
const bearers = new WeakSet<Request>();

/**
 * Answers 401 to what does not bring the token, if there is one; a browser that asks for the page gets a form (sign_in.ts). The time it takes says nothing about the token.
 *
 * @param token read at each request; null for none
 * @param isSignedIn whether a browser may read all the same
 */
export function bearerOnly(
  token: () => string | null,
  isSignedIn: (c: Context) => boolean = () => false,
): MiddlewareHandler {
  return async (c, next) => {
    const expected = token();
    if (expected === null) return await next();
    if (isReading(c) && isSignedIn(c)) return await next();
    const given = /^Bearer (.+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (given === undefined || !isSameToken(given, expected)) {
      if (isReading(c) && c.req.path === "/") return c.html(signInPage(null), 401);
      return c.json({ error: "the bearer token of admin.token is missing or wrong" }, 401, {
        "www-authenticate": "Bearer",
      });
    }
    bearers.add(c.req.raw);
    return await next();
  };
}

/** Whether a token is the right one; the time it takes says nothing about it. */
export function isSameToken(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function isReading({ req: { method } }: Context): boolean {
  return method === "GET" || method === "HEAD";
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** Answers 403 to what an operator's program did not send. */
export const operatorOnly: MiddlewareHandler = async (c, next) => {
  if (bearers.has(c.req.raw)) return await next();
  const isPage = c.req.header("origin") !== undefined || c.req.header(ADMIN_HEADER) !== "1";
  if (isPage) return c.json({ error: `the header ${ADMIN_HEADER}: 1 is missing` }, 403);
  return await next();
};
