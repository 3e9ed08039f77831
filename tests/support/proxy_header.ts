/** Bytes of `2001:db8::1`, the address `::2`, and two ports. */
export const IPV6_BYTES: readonly number[] = [
  0x20,
  0x01,
  0x0d,
  0xb8,
  ...new Array<number>(11).fill(0),
  1,
  ...new Array<number>(15).fill(0),
  2,
  0,
  80,
  1,
  187,
];

/** A header of the PROXY protocol, version 2: by default a proxied connection over IPv4. */
export function binaryProxyHeader(
  o: { command?: number; family?: number; addresses: readonly number[] },
): Uint8Array {
  const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
  const { length } = o.addresses;
  return new Uint8Array([
    ...signature,
    o.command ?? 0x21,
    o.family ?? 0x11,
    length >> 8,
    length & 255,
    ...o.addresses,
  ]);
}
