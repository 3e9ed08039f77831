import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { utf8 } from "../../../src/core/bytes.ts";
import { checkSignature, isTimely, KeyError, PublicKey, SecretKey } from "../../../src/protocol/signature.ts";

// Vectors of control reference, section 3.
const SECRET = "OvXFVm1tIUi8xDTuyHX1SSqdMc8nCt2qU9IUaH5p7oU";
const PUBLIC = "JOaR2bHZ31zYjFojC7UhPOidzfT3qOQgT9WEBw1JAKU";
const HEADER = `{"t":"2026-01-02T03:04:05.678901234Z"}`;
const ENCODED_HEADER = "eyJ0IjoiMjAyNi0wMS0wMlQwMzowNDowNS42Nzg5MDEyMzRaIn0";
const SIGNED_HELLO =
  `Vk2r2BIOcP1UvUzrpzFmbwgJlkOs2cjRPiGIzHAU8ptwkC3nOUqhNwEbhco5P2CwDEBbzA2CFWL254vK81p9Bg.${ENCODED_HEADER}`;
const SIGNED_NOTHING =
  `VHOumDN9qKxXpkipxxvG4dWm1t_o8AIC8jof4SwqWMRMlzduCiFWP6Hi2C7R4btXzjMkfQShMTuWsyYmXufcBw.${ENCODED_HEADER}`;
const HELLO = utf8(`{"hello":"world"}`);
const NOTHING = new Uint8Array(0);
const SIGNED_AT = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const secret = SecretKey.parse(SECRET);
const key = PublicKey.parse(PUBLIC);

Deno.test("signature: the vectors of section 3", () => {
  assertEquals(secret.publicKey.text, PUBLIC);
  assertEquals(secret.signWith(HEADER, HELLO), SIGNED_HELLO);
  assertEquals(secret.signWith(HEADER, NOTHING), SIGNED_NOTHING);
  assertEquals(checkSignature(key, SIGNED_HELLO, HELLO), { kind: "valid", timeMs: SIGNED_AT });
  assertEquals(checkSignature(key, SIGNED_NOTHING, NOTHING), { kind: "valid", timeMs: SIGNED_AT });
});

Deno.test("signature: a secret key is a seed, or a seed and its public key; it is written as a seed", () => {
  const both = btoa(atob(standard(SECRET)) + atob(standard(PUBLIC))).replaceAll("+", "-").replaceAll("/", "_")
    .replaceAll("=", "");
  assertEquals(both.length, 86);
  assertEquals(SecretKey.parse(both).toText(), SECRET);
  const foreign = SecretKey.generate().publicKey.text;
  const mixed = btoa(atob(standard(SECRET)) + atob(standard(foreign))).replaceAll("+", "-").replaceAll(
    "/",
    "_",
  )
    .replaceAll("=", "");
  assertThrows(() => SecretKey.parse(mixed), KeyError, "does not belong");
});

for (const text of ["", "short", `${SECRET}=`, SECRET.slice(1), `${SECRET}aa`, SECRET.replace("O", "+")]) {
  Deno.test(`signature: ${JSON.stringify(text)} is no key`, () => {
    assert(!assertThrows(() => SecretKey.parse(text), KeyError).message.includes(SECRET.slice(4, 20)));
    assertThrows(() => PublicKey.parse(text), KeyError);
  });
}

const cases: [what: string, value: string, payload: Uint8Array, kind: string][] = [
  ["another payload", SIGNED_HELLO, NOTHING, "wrong"],
  [
    "another header",
    `${SIGNED_HELLO.split(".")[0]}.${encoded(`{"t":"2026-01-02T03:04:06Z"}`)}`,
    HELLO,
    "wrong",
  ],
  [
    "the same header, formatted otherwise",
    `${SIGNED_HELLO.split(".")[0]}.${encoded(HEADER + " ")}`,
    HELLO,
    "wrong",
  ],
  ["no dot", SIGNED_HELLO.replace(".", ""), HELLO, "malformed"],
  ["nothing", "", HELLO, "malformed"],
  ["a short signature", SIGNED_HELLO.slice(4), HELLO, "malformed"],
  ["padding", SIGNED_HELLO.replace(".", "==."), HELLO, "malformed"],
  ["a header that is no JSON", secret.signWith("now", HELLO), HELLO, "malformed"],
  ["a header that is no object", secret.signWith("1", HELLO), HELLO, "malformed"],
  ["a time that is none", secret.signWith(`{"t":"today"}`, HELLO), HELLO, "malformed"],
];
for (const [what, value, payload, kind] of cases) {
  Deno.test(`signature: ${what} is ${kind}`, () => {
    assertEquals(checkSignature(key, value, payload).kind, kind as "wrong");
  });
}

Deno.test("signature: formatting of the header is the signer's business, and its time may be missing", () => {
  const spaced = secret.signWith(`{ "t" : "2026-01-02T04:04:05.5+01:00", "more": [1] }`, HELLO);
  assertEquals(checkSignature(key, spaced, HELLO), {
    kind: "valid",
    timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 500),
  });
  assertEquals(checkSignature(key, secret.signWith("{}", HELLO), HELLO), { kind: "valid", timeMs: null });
});

Deno.test("signature: counts from the moment it was made until it is too old", () => {
  const ageMsMax = 300_000;
  assert(isTimely(SIGNED_AT, SIGNED_AT, ageMsMax));
  assert(isTimely(SIGNED_AT, SIGNED_AT + ageMsMax, ageMsMax));
  assert(!isTimely(SIGNED_AT, SIGNED_AT + ageMsMax + 1, ageMsMax));
  assert(!isTimely(SIGNED_AT, SIGNED_AT - 1, ageMsMax));
  assert(!isTimely(null, SIGNED_AT, ageMsMax));
});

Deno.test("signature: whatever is signed verifies with its own key and payload only", () => {
  const other = SecretKey.generate();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 4e12 }), (payload, timeMs) => {
      const value = secret.sign(payload, timeMs);
      assertEquals(checkSignature(key, value, payload), { kind: "valid", timeMs });
      assert(!other.publicKey.verifies(value, payload));
      assert(!key.verifies(value, new Uint8Array([...payload, 0])));
    }),
    { numRuns: 50 },
  );
});

Deno.test("signature: a generated key survives being written down", () => {
  const generated = SecretKey.generate();
  const again = SecretKey.parse(generated.toText());
  assertEquals(again.publicKey.text, generated.publicKey.text);
  assert(generated.publicKey.text !== SecretKey.generate().publicKey.text);
});

function standard(text: string): string {
  return text.replaceAll("-", "+").replaceAll("_", "/");
}

function encoded(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
