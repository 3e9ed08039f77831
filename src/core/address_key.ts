import { parseIp } from "./cidr.ts";

/**
 * What stands for a client in tables: the address itself, for IPv6 its network of 64 bits, because a client has
 * all addresses of that to choose from.
 */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address;
  const bytes = parseIp(address);
  if (bytes === null) return address;
  if (bytes.length === 4) return bytes.join(".");
  const groups = [0, 2, 4, 6].map((at) => (bytes[at]! << 8 | bytes[at + 1]!).toString(16));
  return `${groups.join(":")}::/64`;
}
