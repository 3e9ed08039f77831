/**
 * Signing in with a browser, which cannot send a bearer token by itself.
 *
 * The form exchanges `admin.token` for a cookie that scripts cannot read and other sites cannot have sent. It names when
 * it ends, with a MAC over that and the token: nothing is kept per session, another token ends all of them, and so does a
 * restart, because the MAC's key is made at the start. Who has the cookie may look, and change nothing: changes need the
 * token itself (operator_only.ts).
 *
 * Limit: {@link FAILURES_MAX} wrong tokens a minute, from wherever they come; then nobody can sign in for the rest of it.
 */
import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { getCookie, setCookie } from "hono/cookie";
import type { Clock } from "../core/clock.ts";
import { isSameToken } from "./operator_only.ts";
import { signInPage } from "./sign_in_page.ts";

const COOKIE = "landfall_session";
const SESSION_MS = 12 * 3_600_000;
const FAILURES_MAX = 10;
const MINUTE_MS = 60_000;
const FORM_BYTES_MAX = 8 * 1024;

/** Sessions of browsers. */
export class SignIn {
  readonly #key = randomBytes(32);
  #failures = 0;
  #minuteFromMs = -Infinity;

  constructor(private readonly clock: Clock, private readonly token: () => string | null) {}

  /** Whether a request comes from a browser that signed in. */
  isSignedIn(c: Context): boolean {
    const token = this.token();
    const [endsMs, mac] = (getCookie(c, COOKIE) ?? "").split(".");
    if (token === null || !endsMs || !mac || !(Number(endsMs) > this.clock.now())) return false;
    const expected = this.#mac(token, endsMs);
    return mac.length === expected.length && timingSafeEqual(Buffer.from(mac), Buffer.from(expected));
  }

  /** Adds `POST /sign-in` (form field `token`), which sets the cookie and goes to the status page. */
  addRoutes(app: Hono): void {
    app.post("/sign-in", bodyLimit({ maxSize: FORM_BYTES_MAX }), async (c) => {
      const token = this.token();
      if (token === null) return c.redirect("/", 303);
      if (this.#isBlocked()) return c.html(signInPage("Too many wrong tokens; wait a minute."), 429);
      const { token: given } = await c.req.parseBody();
      if (typeof given !== "string" || !isSameToken(given.trim(), token)) {
        this.#failures++;
        return c.html(signInPage("That is not the token."), 401);
      }
      const ends = String(Math.floor(this.clock.now() + SESSION_MS));
      setCookie(c, COOKIE, `${ends}.${this.#mac(token, ends)}`, {
        httpOnly: true,
        sameSite: "Strict",
        path: "/",
        maxAge: SESSION_MS / 1000,
      });
      return c.redirect("/", 303);
    });
  }

  #isBlocked(): boolean {
    const nowMs = this.clock.monotonic();
    if (nowMs - this.#minuteFromMs >= MINUTE_MS) {
      this.#minuteFromMs = nowMs;
      this.#failures = 0;
    }
    return this.#failures >= FAILURES_MAX;
  }

  #mac(token: string, ends: string): string {
    return createHmac("sha256", this.#key).update(`${ends}\n${token}`).digest("hex");
  }
}
