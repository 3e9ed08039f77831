import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { maskAddress, maskAddresses, TextRedactor } from "../../../src/core/redact_text.ts";

Deno.test("TextRedactor: what looks like a secret", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["to https://abc@sentry.example/1 now", "to https://[redacted]@sentry.example/1 now"],
    ["redis://user:pass@host:6379/0", "redis://[redacted]@host:6379/0"],
    ["authorization: Bearer abc.def-123", "authorization: Bearer [redacted]"],
    ["/api/1/store/?sentry_key=abc&x=1", "/api/1/store/?sentry_key=[redacted]&x=1"],
    ["password=hunter2, next", "password=[redacted], next"],
    ["-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- and", "[redacted] and"],
    ["nothing of the kind: 12:30:45 a@b", "nothing of the kind: 12:30:45 a@b"],
  ];
  for (const [text, expected] of cases) assertEquals(new TextRedactor().redact(text), expected);
});

Deno.test("TextRedactor: known secrets never show, whatever characters they have and whatever surrounds them", () => {
  const secret = fc.string({ minLength: 4, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(secret, { minLength: 1, maxLength: 5 }), fc.string(), fc.string(), (all, a, b) => {
      fc.pre(!all.some((one) => "[redacted]".includes(one)));
      const redacted = new TextRedactor(all).redact(all.reduce((text, one) => `${text}${one}${b}`, a));
      for (const one of all) assert(!redacted.replaceAll("[redacted]", "\0").includes(one), redacted);
    }),
  );
});

Deno.test("maskAddress and maskAddresses", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["192.0.2.77", "192.0.2.0"],
    ["2001:db8:12:34::7", "2001:db8:12::"],
    ["::ffff:192.0.2.77", "192.0.2.0"],
  ];
  for (const [address, masked] of cases) {
    assertEquals(maskAddress(address), masked);
    assertEquals(maskAddresses(`from ${address}.`), `from ${masked}.`);
    assertEquals(maskAddresses(`(${address})`), `(${masked})`);
  }
  assertEquals(maskAddresses("192.0.2.77:8080 [2001:db8:1:2::3]:443"), "192.0.2.0:8080 [2001:db8:1::]:443");
  const others = [
    "127.0.0.1:3000",
    "::1",
    "at 12:30:45",
    "2026-11-27T05:00:00.000Z",
    "v1.2.3",
    "1.2.3.4.5",
    "ab::xy",
  ];
  for (const text of others) assertEquals(maskAddresses(text), text);
});
