import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseIp } from "../../../src/core/cidr.ts";
import { parseProxyHeader } from "../../../src/protocol/proxy_protocol.ts";
import { binaryProxyHeader, IPV6_BYTES } from "../../support/proxy_header.ts";

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const INVALID = { kind: "invalid" };

/** [header, source] */
const GOOD: readonly [string, Uint8Array, string | null][] = [
  ["v1, IPv4", latin1("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"), "192.0.2.1"],
  ["v1, IPv6", latin1("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n"), "2001:db8::1"],
  ["v1, a connection of the balancer's own", latin1("PROXY UNKNOWN\r\n"), null],
  ["v1, unknown with rubbish", latin1("PROXY UNKNOWN ffff:f... 1 x\r\n"), null],
  ["v2, IPv4", binaryProxyHeader({ addresses: [192, 0, 2, 1, 198, 51, 100, 1, 0, 80, 1, 187] }), "192.0.2.1"],
  ["v2, IPv6", binaryProxyHeader({ family: 0x21, addresses: IPV6_BYTES }), "2001:db8:0:0:0:0:0:1"],
  ["v2 with extensions", binaryProxyHeader({ addresses: [...new Array(12).fill(1), 4, 0, 1, 0] }), "1.1.1.1"],
  ["v2 LOCAL", binaryProxyHeader({ command: 0x20, addresses: new Array(12).fill(9) }), null],
  ["v2 LOCAL without addresses", binaryProxyHeader({ command: 0x20, family: 0, addresses: [] }), null],
  ["v2 of no known family", binaryProxyHeader({ family: 0, addresses: [1, 2, 3] }), null],
  ["v2 of a local socket", binaryProxyHeader({ family: 0x31, addresses: new Array(216).fill(0) }), null],
];

const BAD: readonly [string, Uint8Array][] = [
  ["HTTP", latin1("GET / HTTP/1.1\r\n")],
  ["lower case", latin1("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n")],
  ["no family", latin1("PROXY \r\n")],
  ["another family's address", latin1("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n")],
  ["no address", latin1("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n")],
  ["an octal address", latin1("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n")],
  ["an address with a zone", latin1("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n")],
  ["a port too high", latin1("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n")],
  ["a port with a sign", latin1("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n")],
  ["one port", latin1("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n")],
  ["two spaces", latin1("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n")],
  ["a word too many", latin1("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n")],
  ["a bare line feed", latin1("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n")],
  ["a line too long", latin1(`PROXY UNKNOWN ${"x".repeat(200)}`)],
  ["v2, another version", binaryProxyHeader({ command: 0x11, addresses: new Array(12).fill(1) })],
  ["v2, another command", binaryProxyHeader({ command: 0x22, addresses: new Array(12).fill(1) })],
  ["v2, datagrams", binaryProxyHeader({ family: 0x12, addresses: new Array(12).fill(1) })],
  ["v2, addresses too short", binaryProxyHeader({ addresses: new Array(11).fill(1) })],
  ["v2, IPv6 too short", binaryProxyHeader({ family: 0x21, addresses: new Array(35).fill(1) })],
  ["v2, too long", binaryProxyHeader({ addresses: new Array(5000).fill(1) })],
];

Deno.test("parseProxyHeader reads the source of a connection, and how long the header is", () => {
  for (const [name, header, source] of GOOD) {
    const followed = new Uint8Array([...header, ...latin1("GET / HTTP/1.1\r\n")]);
    assertEquals(parseProxyHeader(followed), { kind: "complete", bytes: header.length, source }, name);
  }
});

Deno.test("parseProxyHeader asks for more until a header is whole", () => {
  for (const [name, header, source] of GOOD) {
    for (let length = 0; length < header.length; length++) {
      assertEquals(
        parseProxyHeader(header.subarray(0, length)),
        { kind: "incomplete" },
        `${name}, ${length}`,
      );
    }
    assertEquals(parseProxyHeader(header), { kind: "complete", bytes: header.length, source }, name);
  }
});

Deno.test("parseProxyHeader refuses what is no header", () => {
  for (const [name, bytes] of BAD) assertEquals(parseProxyHeader(bytes), INVALID, name);
});

Deno.test("parseProxyHeader never states what is no address, nor a length that is not there", () => {
  const header = fc.constantFrom(...GOOD.map(([, bytes]) => bytes));
  fc.assert(fc.property(header, fc.nat(), fc.nat(255), (bytes, at, value) => {
    const changed = bytes.slice();
    changed[at % bytes.length] = value;
    const read = parseProxyHeader(changed);
    if (read.kind !== "complete") return;
    assertEquals(read.bytes <= changed.length, true);
    assertEquals(read.source === null || parseIp(read.source) !== null, true);
  }));
});
