import { assertEquals, assertThrows } from "@std/assert";
import { utf8 } from "../../../src/core/bytes.ts";
import { checkEnvelopeMeta, envelopeAuth, parseEnvelopeHeader } from "../../../src/protocol/envelope.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";

const KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";
const DSN = `https://${KEY}@o1.ingest.sentry.io/42`;

Deno.test("envelopeAuth: section 2, key, version, client and flag come from the header", () => {
  const line = JSON.stringify({ dsn: DSN, client: "sentry.javascript/9", version: 6, no_cache: true });
  assertEquals(envelopeAuth(utf8(`${line}\nnot looked at`)), {
    auth: { key: KEY, version: 6, client: "sentry.javascript/9", noCache: true },
    dsn: { scheme: "https", key: KEY, host: "o1.ingest.sentry.io", port: null, projectId: "42" },
  });
});

Deno.test("envelopeAuth: section 2, a DSN alone is enough, and keys that do not matter are not judged", () => {
  const { auth } = envelopeAuth(utf8(JSON.stringify({ dsn: DSN, event_id: "nonsense", client: null })));
  assertEquals(auth, { key: KEY, version: 7, client: null, noCache: false });
});

for (
  const [name, line] of [
    ["an empty body", ""],
    ["white space", " \nx"],
    ["no JSON", "hello"],
    ["no DSN", "{}"],
    ["a null DSN", '{"dsn":null}'],
    ["a DSN without project", `{"dsn":"https://${KEY}@sentry.io/"}`],
    ["a DSN with a short key", '{"dsn":"https://abc@sentry.io/42"}'],
    ["two DSNs", `{"dsn":"${DSN}","dsn":"${DSN}"}`],
    ["a wrong version", `{"dsn":"${DSN}","version":"7"}`],
    ["a header of several lines", `{"dsn":\n"${DSN}"}`],
  ] as const
) {
  Deno.test(`envelopeAuth: section 2, ${name} is 401`, () => {
    const error = assertThrows(
      () => envelopeAuth(utf8(line)),
      RequestError,
      "bad envelope authentication header",
    );
    assertEquals(error.status, 401);
    assertEquals(error.body.kind === "json" && error.body.causes.length, 1);
  });
}

/** Header, then the cause when the request says project 42, that key, origin http://valid.com/. */
const MISMATCHES: readonly (readonly [object, string | null])[] = [
  [{}, null],
  [{ dsn: DSN }, null],
  [{ dsn: DSN.replace("https", "http").replace("sentry.io", "example.com") }, null],
  [{ dsn: DSN.replace("/42", "/43") }, "project id"],
  [{ dsn: DSN.replace("a0b1", "ffff") }, "public key"],
  [{ origin: "http://valid.com" }, null],
  [{ origin: "http://other.com" }, "origin"],
  [{ origin: null, dsn: null }, null],
];

for (const [header, what] of MISMATCHES) {
  Deno.test(`checkEnvelopeMeta: section 2, ${JSON.stringify(header)} ${what ? `differs in ${what}` : "agrees"}`, () => {
    const head = parseEnvelopeHeader(utf8(JSON.stringify(header)));
    const check = () => checkEnvelopeMeta(head, { projectId: "42", key: KEY, origin: "http://valid.com/" });
    if (what === null) return check();
    const error = assertThrows(check, RequestError, "invalid event envelope");
    assertEquals(error.body.kind === "json" && error.body.causes, [
      `${what} header mismatch between envelope and request`,
    ]);
  });
}
