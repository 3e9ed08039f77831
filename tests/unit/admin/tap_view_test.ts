import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { scrubbed, shownTapEvent } from "../../../src/admin/tap_view.ts";
import type { TapEvent } from "../../../src/telemetry/tap_event.ts";

const KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";
const event = (payload: string): TapEvent => ({
  stage: "answered",
  lane: 0,
  atMs: 1,
  project: "1",
  key: KEY,
  event: null,
  outcome: "accepted",
  reason: null,
  tookMs: 1,
  headers: { dsn: `https://${KEY}@host/1`, sdk: { name: "x" } },
  items: [{ type: "event", bytes: 1, headers: { type: "event" }, payload }],
});

Deno.test("shownTapEvent: no secret shows, wherever in a payload it stands; raw shows everything", () => {
  const names = fc.constantFrom(
    "password",
    "Authorization",
    "cookie",
    "api_key",
    "apiKey",
    "session-id",
    "x-csrf-token",
    "ip_address",
    "email",
    "client_secret",
  );
  const SECRET = "the-secret-value";
  const nest = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      names.map((name) => ({ [name]: SECRET })),
      names.map((name) => [[name, SECRET]]),
      fc.record({ inner: tie("tree"), message: fc.string() }),
      fc.array(tie("tree"), { minLength: 1, maxLength: 3 }),
    ),
  })).tree;
  fc.assert(fc.property(nest, (payload) => {
    const shown = JSON.stringify(shownTapEvent(event(JSON.stringify(payload)), false));
    return !shown.includes(SECRET) && !shown.includes(KEY);
  }));
  assertEquals(shownTapEvent(event(`{"password":"x"}`), true), event(`{"password":"x"}`));
});

Deno.test("shownTapEvent: what is no JSON is not shown; what is no secret is", () => {
  const { items } = shownTapEvent(event("password=hunter2"), false) as { items: { payload: unknown }[] };
  assertEquals(items[0]!.payload, "[redacted]");
  const plain = { message: "hello", tags: [["release", "1.0"]], extra: { count: 3, nothing: null } };
  assertEquals(scrubbed(plain), plain);
});
