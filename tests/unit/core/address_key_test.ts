import { assertEquals } from "@std/assert";
import { addressKey } from "../../../src/core/address_key.ts";

Deno.test("addressKey: IPv4 as it is, IPv6 by its network of 64 bits", () => {
  const cases: Record<string, string> = {
    "192.0.2.1": "192.0.2.1",
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "2001:DB8:1:2::ffff": "2001:db8:1:2::/64",
    "2001:db8::1": "2001:db8:0:0::/64",
    "::ffff:192.0.2.1": "192.0.2.1",
    "": "",
    "no:address": "no:address",
  };
  for (const [address, key] of Object.entries(cases)) assertEquals(addressKey(address), key);
});
