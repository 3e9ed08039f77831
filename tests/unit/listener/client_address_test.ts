import { assertEquals } from "@std/assert";
import { CidrSet } from "../../../src/core/cidr.ts";
import { clientAddress } from "../../../src/listener/client_address.ts";
import { FakeRequest } from "../../support/fake_request.ts";

const trusted = CidrSet.parse(["10.0.0.0/8", "fd00::/8"]);

/** [name, peer, headers, address, forwardedFor] */
const ROWS: readonly [string, string, Record<string, string>, string, string][] = [
  ["no header", "10.0.0.1", {}, "10.0.0.1", "10.0.0.1"],
  ["a peer that is no proxy", "192.0.2.9", { "x-forwarded-for": "1.2.3.4" }, "192.0.2.9", "192.0.2.9"],
  ["one proxy", "10.0.0.1", { "x-forwarded-for": "1.2.3.4" }, "1.2.3.4", "1.2.3.4, 10.0.0.1"],
  [
    "what a client claims about itself",
    "10.0.0.1",
    { "x-forwarded-for": "6.6.6.6, 1.2.3.4" },
    "1.2.3.4",
    "6.6.6.6, 1.2.3.4, 10.0.0.1",
  ],
  [
    "two proxies",
    "10.0.0.1",
    { "x-forwarded-for": "1.2.3.4, 10.9.9.9" },
    "1.2.3.4",
    "1.2.3.4, 10.9.9.9, 10.0.0.1",
  ],
  ["only proxies", "10.0.0.1", { "x-forwarded-for": "10.0.0.2" }, "10.0.0.2", "10.0.0.2, 10.0.0.1"],
  [
    "garbage in the chain",
    "10.0.0.1",
    { "x-forwarded-for": "1.2.3.4, unknown, 10.0.0.2" },
    "10.0.0.2",
    "1.2.3.4, unknown, 10.0.0.2, 10.0.0.1",
  ],
  [
    "Cloudflare first",
    "10.0.0.1",
    { "x-forwarded-for": "1.1.1.1", "cf-connecting-ip": "2.2.2.2" },
    "2.2.2.2",
    "2.2.2.2, 10.0.0.1",
  ],
  [
    "Vercel before Sentry",
    "10.0.0.1",
    { "x-sentry-forwarded-for": "1.1.1.1", "x-vercel-forwarded-for": "2.2.2.2" },
    "2.2.2.2",
    "2.2.2.2, 10.0.0.1",
  ],
  [
    "an empty header is none",
    "10.0.0.1",
    { "cf-connecting-ip": "", "x-forwarded-for": "1.2.3.4" },
    "1.2.3.4",
    "1.2.3.4, 10.0.0.1",
  ],
  ["IPv6", "fd00::1", { "x-forwarded-for": "2001:db8::7" }, "2001:db8::7", "2001:db8::7, fd00::1"],
  ["a mapped peer", "::ffff:10.0.0.1", { "x-forwarded-for": "1.2.3.4" }, "1.2.3.4", "1.2.3.4, 10.0.0.1"],
];

Deno.test("clientAddress believes forwarding headers of trusted proxies only, in the order of section 6.1", () => {
  for (const [name, peer, headers, address, forwardedFor] of ROWS) {
    const request = new FakeRequest(headers);
    request.peer = peer;
    const isPeerTrusted = trusted.has(peer.replace("::ffff:", ""));
    const isForeign = !trusted.has(address);
    assertEquals(clientAddress(request, trusted), { address, forwardedFor, isForeign, isPeerTrusted }, name);
  }
});

Deno.test("clientAddress is the peer without trusted proxies", () => {
  const request = new FakeRequest({ "x-forwarded-for": "1.2.3.4" });
  assertEquals(clientAddress(request, null), {
    address: "192.0.2.1",
    forwardedFor: "192.0.2.1",
    isForeign: true,
    isPeerTrusted: false,
  });
});
