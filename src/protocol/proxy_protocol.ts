/**
 * The PROXY protocol, versions 1 (text) and 2 (binary): what a balancer says about a connection before its first byte.
 * Source: "The PROXY protocol", HAProxy, sections 2.1 and 2.2.
 *
 * Only the source address is of use here. Connections of the balancer's own (`UNKNOWN`, `LOCAL`) and those of no internet
 * address have none, and count as coming from the balancer.
 */
import { parseIp } from "../core/cidr.ts";

/** What the first bytes of a connection are. */
export type ProxyHeader =
  /** The beginning of a header; more bytes are needed. */
  | { readonly kind: "incomplete" }
  /** No header, or a broken one. */
  | { readonly kind: "invalid" }
  /** A header of `bytes` bytes; `source` is the address it states, or null when it states none. */
  | { readonly kind: "complete"; readonly bytes: number; readonly source: string | null };

const INCOMPLETE: ProxyHeader = { kind: "incomplete" };
const INVALID: ProxyHeader = { kind: "invalid" };

const TEXT_SIGNATURE = [...new TextEncoder().encode("PROXY ")];
/** Longest line the specification allows, its end included. */
const TEXT_BYTES_MAX = 107;
const BINARY_SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const BINARY_FIXED_BYTES = 16;
/** Addresses and extensions; a balancer that passes a client's certificate on needs some hundred bytes. */
const BINARY_VARIABLE_BYTES_MAX = 4096;

const CR = 0x0d;
const LF = 0x0a;

/** Reads a header at the start of `bytes`, which may hold more than it, or only a part of it. */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader {
  if (startsLike(bytes, BINARY_SIGNATURE)) return parseBinary(bytes);
  return startsLike(bytes, TEXT_SIGNATURE) ? parseText(bytes) : INVALID;
}

function startsLike(bytes: Uint8Array, signature: readonly number[]): boolean {
  const length = Math.min(bytes.length, signature.length);
  for (let at = 0; at < length; at++) if (bytes[at] !== signature[at]) return false;
  return true;
}

function parseText(bytes: Uint8Array): ProxyHeader {
  const end = bytes.subarray(0, TEXT_BYTES_MAX).indexOf(LF);
  if (end < 0) return bytes.length < TEXT_BYTES_MAX ? INCOMPLETE : INVALID;
  if (bytes[end - 1] !== CR) return INVALID;
  const words = String.fromCharCode(...bytes.subarray(TEXT_SIGNATURE.length, end - 1)).split(" ");
  if (words[0] === "UNKNOWN") return { kind: "complete", bytes: end + 1, source: null };
  const [family = "", source = "", destination = "", ...ports] = words;
  const isIpV6 = family === "TCP6";
  const isValid = (isIpV6 || family === "TCP4") && isAddress(source, isIpV6) &&
    isAddress(destination, isIpV6) &&
    ports.length === 2 && ports.every(isPort);
  return isValid ? { kind: "complete", bytes: end + 1, source } : INVALID;
}

function isAddress(text: string, isIpV6: boolean): boolean {
  return text.includes(":") === isIpV6 && !text.includes("%") && parseIp(text) !== null;
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535;
}

const LOCAL = 0x20;
const PROXY = 0x21;
/** Address family and transport, with the bytes of the addresses and ports that follow. */
const TCP4 = 0x11;
const TCP4_BYTES = 12;
const TCP6 = 0x21;
const TCP6_BYTES = 36;
const UNSPECIFIED = 0x00;
const UNIX_STREAM = 0x31;

function parseBinary(bytes: Uint8Array): ProxyHeader {
  if (bytes.length < BINARY_FIXED_BYTES) return INCOMPLETE;
  const [command, family] = [bytes[12]!, bytes[13]!];
  const variableBytes = bytes[14]! << 8 | bytes[15]!;
  if (variableBytes > BINARY_VARIABLE_BYTES_MAX || command !== LOCAL && command !== PROXY) return INVALID;
  const total = BINARY_FIXED_BYTES + variableBytes;
  const complete = (source: string | null): ProxyHeader =>
    bytes.length < total ? INCOMPLETE : { kind: "complete", bytes: total, source };
  if (command === LOCAL || family === UNSPECIFIED || family === UNIX_STREAM) return complete(null);
  const addresses = bytes.subarray(BINARY_FIXED_BYTES);
  if (family === TCP4 && variableBytes >= TCP4_BYTES) return complete(addresses.subarray(0, 4).join("."));
  return family === TCP6 && variableBytes >= TCP6_BYTES ? complete(ipV6(addresses)) : INVALID;
}

/** All eight groups, without the short form. */
function ipV6(bytes: Uint8Array): string {
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((bytes[at]! << 8 | bytes[at + 1]!).toString(16));
  return groups.join(":");
}
