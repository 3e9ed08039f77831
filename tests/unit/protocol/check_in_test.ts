import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { checkInFromJson, checkInFromQuery } from "../../../src/protocol/check_in.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";

const ID = "9ec79c33ec9942ab8353589fcb2e04dc";
const read = (payload: Uint8Array) => JSON.parse(fromUtf8(payload));

/** Section 1.3: status as sent, and as it is passed on. */
const STATUSES = [
  ["ok", "ok"],
  ["error", "error"],
  ["in_progress", "in_progress"],
  ["missed", "missed"],
  ["OK", "unknown"],
  ["", "unknown"],
  ["__proto__", "unknown"],
] as const;

for (const [sent, passedOn] of STATUSES) {
  Deno.test(`check-ins: section 1.3, status "${sent}" is ${passedOn}`, () => {
    assertEquals(read(checkInFromQuery("a", `status=${sent}`)).status, passedOn);
    assertEquals(read(checkInFromJson("a", utf8(JSON.stringify({ status: sent })))).status, passedOn);
  });
}

Deno.test("check-ins: section 1.3, query and JSON mean the same", () => {
  const query = `status=ok&check_in_id=${ID.toUpperCase()}&environment=p%20q&duration=1.5e1`;
  const body = { status: "ok", check_in_id: ID, environment: "p q", duration: 15, monitor_slug: "other" };
  assertEquals(checkInFromQuery("a", query), checkInFromJson("a", utf8(JSON.stringify(body))));
});

Deno.test("checkInFromQuery: section 1.2, numbers as Rust reads them", () => {
  const status = (duration: string) => {
    try {
      return read(checkInFromQuery("a", `status=ok&duration=${duration}`)).duration;
    } catch (error) {
      return (error as RequestError).status;
    }
  };
  for (const [text, value] of [["1", 1], ["+1", 1], ["1.", 1], [".5", 0.5], ["-2e-1", -0.2]] as const) {
    assertEquals(status(encodeURIComponent(text)), value, text);
  }
  for (const text of ["", "1s", "0x1", "1,5", " 1"]) {
    assertEquals(status(encodeURIComponent(text)), 400, text);
  }
});

Deno.test("check-ins: nothing but RequestError comes out, whatever goes in", () => {
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom("ok", ID, 1));
  const fields = fc.record({
    status: value,
    check_in_id: value,
    environment: value,
    duration: value,
    monitor_config: value,
    contexts: value,
  }, { requiredKeys: [] });
  const text = fc.oneof(fields.map((value) => JSON.stringify(value)), fc.json(), fc.string());
  fc.assert(fc.property(text, fc.string(), (body, slug) => {
    for (const run of [() => checkInFromJson(slug, utf8(body)), () => checkInFromQuery(slug, body)]) {
      try {
        assertEquals(read(run()).monitor_slug, slug);
      } catch (error) {
        assert(error instanceof RequestError && [400, 422].includes(error.status), String(error));
      }
    }
  }));
});
