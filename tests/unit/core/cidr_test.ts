import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { CidrSet, parseIp } from "../../../src/core/cidr.ts";

const ADDRESSES: readonly (readonly [string, string | null])[] = [
  ["127.0.0.1", "7f000001"],
  ["::ffff:127.0.0.1", "7f000001"],
  ["::FFFF:7f00:1", "7f000001"],
  ["::", "00000000000000000000000000000000"],
  ["::1", "00000000000000000000000000000001"],
  ["fe80::1%eth0", "fe800000000000000000000000000001"],
  ["2001:db8::192.0.2.1", "20010db80000000000000000c0000201"],
  ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
  ["1::8", "00010000000000000000000000000008"],
  ["", null],
  ["localhost", null],
  ["1.2.3", null],
  ["1.2.3.256", null],
  ["1.2.3.04", null],
  ["0.0.0.0", "00000000"],
  ["255.255.255.255", "ffffffff"],
  ["1.2.3.4.5", null],
  ["1.2.3.4.", null],
  [".1.2.3", null],
  ["1..2.3", null],
  ["1.2.3.-4", null],
  ["1.2.3. 4", null],
  ["1.2.3.0001", null],
  ["1.2.3.4:80", null],
  ["[::1]", null],
  [":::", null],
  ["1::2::3", null],
  ["1:2:3:4:5:6:7", null],
  ["1:2:3:4:5:6:7:8:9", null],
  ["1:2:3:4:5:6:7::8", null],
  ["12345::", null],
  ["1.2.3.4::", null],
  ["::1.2.3.4:5", null],
];

for (const [text, hex] of ADDRESSES) {
  Deno.test(`parseIp: ${JSON.stringify(text)} is ${hex ?? "no address"}`, () => {
    const bytes = parseIp(text);
    assertEquals(bytes && Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""), hex);
  });
}

Deno.test("parseIp: takes for IPv4 what four numbers up to 255 are, without leading zeros", () => {
  const part = fc.oneof(fc.nat({ max: 300 }).map(String), fc.constantFrom("", "00", "01", "1a", "+1", " 1"));
  const text = fc.array(part, { minLength: 3, maxLength: 5 }).map((parts) => parts.join("."));
  fc.assert(fc.property(text, (text) => {
    const parts = text.split(".");
    const isAddress = parts.length === 4 &&
      parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
    assertEquals(parseIp(text), isAddress ? Uint8Array.from(parts, Number) : null);
  }));
});

const MEMBERSHIP: readonly (readonly [string, string, boolean])[] = [
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.0.0.0/8", "::ffff:10.1.2.3", true],
  ["::ffff:10.0.0.0/104", "10.1.2.3", true],
  ["192.168.1.128/25", "192.168.1.200", true],
  ["192.168.1.128/25", "192.168.1.100", false],
  ["127.0.0.1", "127.0.0.1", true],
  ["127.0.0.1", "127.0.0.2", false],
  ["0.0.0.0/0", "8.8.8.8", true],
  ["0.0.0.0/0", "::1", false],
  ["::/0", "::1", true],
  ["::/0", "8.8.8.8", false],
  ["fd00::/8", "fdff::1", true],
  ["fd00::/8", "fe00::1", false],
  ["fd00::/8", "not an address", false],
];

for (const [network, address, isIn] of MEMBERSHIP) {
  Deno.test(`CidrSet: ${address} is ${isIn ? "" : "not "}in ${network}`, () => {
    assertEquals(CidrSet.parse(["203.0.113.7", network]).has(address), isIn);
  });
}

for (
  const text of [
    "",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/-1",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "example.com",
    "::ffff:1.2.3.4/95",
  ]
) {
  Deno.test(`CidrSet.parse: ${JSON.stringify(text)} is refused by name`, () => {
    assertThrows(() => CidrSet.parse([text]), RangeError, `"${text}"`);
  });
}

Deno.test("CidrSet: an empty set holds nothing", () =>
  assertEquals(CidrSet.parse([]).has("127.0.0.1"), false));

Deno.test("parseIp: reads every address in each of its spellings", () => {
  fc.assert(fc.property(fc.ipV4(), (text) => assertEquals(parseIp(text), parseIp(`::ffff:${text}`))));
  fc.assert(fc.property(fc.ipV6(), (text) => assertEquals(parseIp(text) === null, false)));
});

Deno.test("CidrSet: an address is in a network exactly when their leading bits agree", () => {
  const bitsOf = (text: string) =>
    Array.from(parseIp(text) ?? [], (byte) => byte.toString(2).padStart(8, "0")).join("");
  fc.assert(fc.property(fc.ipV4(), fc.ipV4(), fc.nat({ max: 32 }), (network, address, bits) => {
    const agree = bitsOf(network).slice(0, bits) === bitsOf(address).slice(0, bits);
    assertEquals(CidrSet.parse([`${network}/${bits}`]).has(address), agree);
  }));
});

Deno.test("CidrSet: all who hold it see what it was replaced with, and nothing of a list that is wrong", () => {
  const set = CidrSet.parse(["203.0.113.0/24"]);
  set.replace(["198.51.100.0/24"]);
  assertEquals([set.has("203.0.113.7"), set.has("198.51.100.7")], [false, true]);
  assertThrows(() => set.replace(["192.0.2.0/24", "nonsense"]), RangeError);
  assertEquals([set.has("192.0.2.7"), set.has("198.51.100.7")], [false, true]);
});
