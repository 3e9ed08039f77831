import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  extractAuth,
  missingAuth,
  parseProjectId,
  type RequestAuth,
} from "../../../src/protocol/request_auth.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";

const KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";

interface Stated {
  readonly header?: string;
  readonly authorization?: string;
  readonly query?: string;
  readonly path?: string;
}

function extract({ header, authorization, query, path }: Stated): RequestAuth | null {
  return extractAuth({
    xSentryAuth: header ?? null,
    authorization: authorization ?? null,
    rawQuery: query ?? "",
    ...(path === undefined ? {} : { pathKey: path }),
  });
}

const FOUND: readonly (readonly [string, Stated, Partial<RequestAuth>])[] = [
  ["header", { header: `Sentry sentry_key=${KEY}` }, {}],
  ["header in any case", { header: `sEnTrY sentry_key=${KEY}` }, {}],
  ["header with all fields", {
    header:
      `Sentry sentry_timestamp=1, sentry_client=raven/1,  sentry_version = 6 ,sentry_key=${KEY}, sentry_secret=x, a`,
  }, { version: 6, client: "raven/1" }],
  ["header with a fractional version", { header: `Sentry sentry_key=${KEY},sentry_version=2.0` }, {
    version: 2,
  }],
  ["header with a value that holds =", { header: `Sentry sentry_key=${KEY},sentry_client=a=b` }, {
    client: "a",
  }],
  ["flag", { header: `Sentry sentry_key=${KEY}.other.no-cache` }, { noCache: true }],
  ["unknown flag", { header: `Sentry sentry_key=${KEY}.no-cash` }, {}],
  ["ignored header and query", { header: "Bearer x", query: `sentry_key=${KEY}` }, {}],
  ["short header and query", { header: "Sentry", query: `sentry_key=${KEY}` }, {}],
  ["Authorization: Sentry", { authorization: `Sentry sentry_key=${KEY}` }, {}],
  ["Authorization: Basic", { authorization: `Basic ${btoa(`${KEY}:`)}` }, {}],
  ["Authorization: Bearer and header", { authorization: "Bearer x", header: `Sentry sentry_key=${KEY}` }, {}],
  [
    "query",
    { query: `sentry_version=7&sentry_key=${KEY}&sentry_client=sentry.javascript.browser%2F11.12.0` },
    {
      client: "sentry.javascript.browser/11.12.0",
    },
  ],
  ["query, encoded name", { query: `x&sentry%5Fkey=${KEY}&sentry_client=a+b%zz` }, { client: "a b%zz" }],
  ["path", { path: KEY }, {}],
  ["path with unrelated query", { path: KEY, query: "UserID=5" }, {}],
];

for (const [name, stated, expected] of FOUND) {
  Deno.test(`extractAuth: section 2, reads ${name}`, () => {
    assertEquals(extract(stated), { key: KEY, version: 7, client: null, noCache: false, ...expected });
  });
}

for (
  const [name, stated] of [
    ["nothing", {}],
    ["empty header", { header: "" }],
    ["Bearer token", { authorization: "Bearer abc" }],
    ["Basic without colon", { authorization: `Basic ${btoa(KEY)}` }],
    ["Basic that is no base64", { authorization: "Basic %%%" }],
    ["query about something else", { query: "sentry-trace=1&a=b" }],
  ] as const
) {
  Deno.test(`extractAuth: section 2, finds none in ${name}`, () => assertEquals(extract(stated), null));
}

const multiple = '{"detail":"multiple authorization payloads detected"}';
const badKey = '{"detail":"bad sentry DSN public key","causes":["invalid project key"]}';
const badAuth = (cause: string) => `{"detail":"bad x-sentry-auth header","causes":["${cause}"]}`;

/** Table of conditions: section 2. */
const REFUSED: readonly (readonly [string, Stated, number, string])[] = [
  ["header and query", { header: `Sentry sentry_key=${KEY}`, query: `sentry_key=${KEY}` }, 401, multiple],
  [
    "header and release in the query",
    { header: `Sentry sentry_key=${KEY}`, query: "sentry_release=1" },
    401,
    multiple,
  ],
  [
    "both headers",
    { header: `Sentry sentry_key=${KEY}`, authorization: `Sentry sentry_key=${KEY}` },
    401,
    multiple,
  ],
  ["path and query", { path: KEY, query: "sentry_release=1&sentry_key=x" }, 401, multiple],
  [
    "release alone in the query",
    { query: "sentry_release=1" },
    401,
    badAuth("missing public key in auth header"),
  ],
  [
    "substring anywhere in the query",
    { query: "a=sentry_" },
    401,
    badAuth("missing public key in auth header"),
  ],
  ["empty key", { header: "Sentry sentry_key=" }, 401, badAuth("missing public key in auth header")],
  ["no fields", { header: "Sentry " }, 401, badAuth("missing public key in auth header")],
  ["no version", { query: `sentry_key=${KEY}&sentry_version=` }, 401, badAuth("invalid value for version")],
  [
    "a word as version",
    { query: `sentry_key=${KEY}&sentry_version=x` },
    401,
    badAuth("invalid value for version"),
  ],
  [
    "a version above 16 bits",
    { query: `sentry_key=${KEY}&sentry_version=65536` },
    401,
    badAuth("invalid value for version"),
  ],
  [
    "version 8",
    { query: `sentry_key=${KEY}&sentry_version=8` },
    400,
    '{"detail":"unsupported protocol version (8)"}',
  ],
  ["a short key", { header: "Sentry sentry_key=abc" }, 400, badKey],
  ["a long key", { header: `Sentry sentry_key=${KEY}0` }, 400, badKey],
  ["a key that is not ASCII", { query: `sentry_key=${KEY.slice(1)}%C3%A4` }, 400, badKey],
  ["a key with a line break", { query: `sentry_key=${KEY.slice(2)}%0D%0A` }, 400, badKey],
  ["a short key and version 8", { query: "sentry_key=abc&sentry_version=8" }, 400, badKey],
];

for (const [name, stated, status, body] of REFUSED) {
  Deno.test(`extractAuth: section 2, ${name} is ${status}`, () => {
    const error = assertThrows(() => extract(stated), RequestError);
    assertEquals([error.status, error.toBody()], [status, body]);
  });
}

Deno.test("extractAuth: nothing but RequestError comes out, whatever goes in", () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom("Sentry ", "sentry_key=", "sentry_version=", KEY, ",", "&", "%"),
  );
  const texts = fc.array(text, { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(fc.property(texts, texts, texts, (header, authorization, query) => {
    try {
      extract({ header, authorization, query });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
    }
  }));
});

Deno.test("extractAuth: a query is decoded as URLSearchParams decodes it, well encoded or not", () => {
  const part = fc.oneof(
    fc.constantFrom("%2F", "%", "%C3%A4", "%C3", "%zz", "+", "%2B", "%26"),
    fc.stringMatching(/^[a-z.]+$/),
  );
  fc.assert(fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
    const client = parts.join("");
    const found = extract({ query: `sentry_key=${KEY}&sentry_client=${client}` });
    assertEquals(found?.client, new URLSearchParams(`sentry_client=${client}`).get("sentry_client"));
  }));
});

Deno.test("missingAuth: section 2, 401", () => {
  assertEquals([missingAuth().status, missingAuth().toBody()], [
    401,
    '{"detail":"missing authorization information"}',
  ]);
});

for (
  const [text, id] of [
    ["42", "42"],
    ["0", "0"],
    ["00042", "42"],
    ["+42", "42"],
    ["18446744073709551615", "18446744073709551615"],
  ] as const
) {
  Deno.test(`parseProjectId: section 1.1, ${text} is project ${id}`, () =>
    assertEquals(parseProjectId(text), id));
}

for (const text of ["", "abc", "-1", "4 2", "1.0", "0x10", "18446744073709551616", "1".repeat(400)]) {
  Deno.test(`parseProjectId: section 1.1, ${JSON.stringify(text.slice(0, 25))} is 400`, () => {
    const error = assertThrows(() => parseProjectId(text), RequestError, "bad project path parameter");
    assertEquals([error.status, error.body.kind === "json" && error.body.causes.length], [400, 1]);
  });
}
