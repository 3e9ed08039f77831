/**
 * IP addresses and sets of networks, for trusted proxies and address rules.
 *
 * An IPv4 address mapped into IPv6 (`::ffff:10.0.0.1`) is the IPv4 address, whichever way a socket reports it.
 */

/**
 * The bytes of an address: 4 for IPv4 (mapped ones too), 16 for IPv6, `null` when `text` is no address.
 *
 * A zone (`fe80::1%eth0`) is ignored; brackets and ports are not part of an address.
 */
export function parseIp(text: string): Uint8Array | null {
  return text.includes(":") ? parseIpV6(text) : parseIpV4(text);
}

const [ZERO, DOT] = [0x30, 0x2e];

/** Character by character, since this is done for every request and every list it is held against. */
function parseIpV4(text: string): Uint8Array | null {
  const bytes = new Uint8Array(4);
  let part = 0;
  let value = -1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (value < 0 || part === 3) return null;
      bytes[part++] = value;
      value = -1;
      continue;
    }
    const digit = code - ZERO;
    // A leading zero means octal to some readers and decimal to others, so it means nothing here.
    if (digit < 0 || digit > 9 || value === 0) return null;
    value = value < 0 ? digit : value * 10 + digit;
    if (value > 255) return null;
  }
  if (value < 0 || part !== 3) return null;
  bytes[3] = value;
  return bytes;
}

function parseIpV6(text: string): Uint8Array | null {
  const zone = text.indexOf("%");
  const halves = (zone < 0 ? text : text.slice(0, zone)).split("::");
  if (halves.length > 2) return null;
  const head = groupsOf(halves[0] ?? "", halves.length === 1);
  const tail = groupsOf(halves[1] ?? "", true);
  if (!head || !tail) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  groups.forEach((group, index) => {
    bytes[2 * index] = group >> 8;
    bytes[2 * index + 1] = group & 255;
  });
  return isMapped(groups) ? bytes.slice(12) : bytes;
}

/** The 16-bit groups of one side of `::`; an IPv4 tail counts as two and may stand only at the end of the address. */
function groupsOf(text: string, last: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(parseInt(part, 16));
      continue;
    }
    const v4 = last && index === parts.length - 1 ? parseIpV4(part) : null;
    if (!v4) return null;
    const view = new DataView(v4.buffer);
    groups.push(view.getUint16(0), view.getUint16(2));
  }
  return groups;
}

function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
}

/** A network: addresses of the same length that agree with `bytes` in the first `bits`. */
interface Network {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** A set of networks; an address without a prefix length is a network of one. */
export class CidrSet {
  #networks: readonly Network[];

  private constructor(networks: readonly Network[]) {
    this.#networks = networks;
  }

  /**
   * Reads networks such as `10.0.0.0/8`, `::1` and `fd00::/8`.
   *
   * @throws {RangeError} naming the first entry that is none
   */
  static parse(list: readonly string[]): CidrSet {
    return new CidrSet(list.map(parseNetwork));
  }

  /**
   * Puts other networks in the place of these, for all who hold the set.
   *
   * @throws {RangeError} naming the first entry that is none; then nothing has changed
   */
  replace(list: readonly string[]): void {
    this.#networks = list.map(parseNetwork);
  }

  /** Whether `address` is in one of the networks; text that is no address is in none. */
  has(address: string): boolean {
    if (this.#networks.length === 0) return false;
    const bytes = parseIp(address);
    return bytes !== null && this.#networks.some((network) => contains(network, bytes));
  }
}

function parseNetwork(text: string): Network {
  const slash = text.indexOf("/");
  const address = (slash < 0 ? text : text.slice(0, slash)).trim();
  const bytes = parseIp(address);
  if (!bytes) throw new RangeError(`not a network: "${text}"`);
  const mapped = bytes.length === 4 && address.includes(":");
  const bitsMax = mapped ? 128 : bytes.length * 8;
  const length = slash < 0 ? String(bitsMax) : text.slice(slash + 1).trim();
  const bits = /^\d{1,3}$/.test(length) ? Number(length) - (mapped ? 96 : 0) : -1;
  if (bits < 0 || bits > bytes.length * 8) throw new RangeError(`not a network: "${text}"`);
  return { bytes, bits };
}

function contains(network: Network, address: Uint8Array): boolean {
  if (network.bytes.length !== address.length) return false;
  for (let bit = 0, index = 0; bit < network.bits; bit += 8, index++) {
    const mask = network.bits - bit >= 8 ? 255 : (255 << (8 - (network.bits - bit))) & 255;
    if (((network.bytes[index] ?? 0) ^ (address[index] ?? 0)) & mask) return false;
  }
  return true;
}
