/**
 * Outbound HTTP proxies: a tunnel by `CONNECT` (RFC 9110, section 9.3.6), for `http` and `https` upstreams alike.
 *
 * The answer's head is read a few bytes at a time near its end, so that not one byte of what follows is taken from the
 * tunnel. The proxy's own answer is never taken for the upstream's: whatever is not 2xx is a failed connection.
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { CidrSet, parseIp } from "../core/cidr.ts";
import type { Wire } from "./dial.ts";
import { UpstreamError } from "./upstream_error.ts";

/** A proxy. */
export interface ProxySpec {
  readonly hostname: string;
  readonly port: number;
  /** Value of `Proxy-Authorization`, or null. */
  readonly authorization: string | null;
}

const HEAD_BYTES_MAX = 16 * 1024;
const END = "\r\n\r\n";

/** The proxy of a URL such as `http://user:password@proxy.internal:3128`. */
export function proxySpec(url: string): ProxySpec {
  const { hostname, port, username, password } = new URL(url);
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? 80 : Number(port),
    authorization: user === ":" ? null : `Basic ${btoa(String.fromCharCode(...utf8(user)))}`,
  };
}

/**
 * Asks the proxy at the other end of `wire` for a tunnel; what is written and read afterwards goes through it.
 *
 * @param authority `host:port` with brackets around an IPv6 address
 * @throws {UpstreamError} `connect`
 */
export async function openTunnel(wire: Wire, authority: string, proxy: ProxySpec): Promise<void> {
  const credentials = proxy.authorization === null ? "" : `Proxy-Authorization: ${proxy.authorization}\r\n`;
  const bytes = utf8(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`);
  for (let at = 0; at < bytes.length;) at += await wire.write(bytes.subarray(at));
  const head = await readHead(wire);
  const status = /^HTTP\/1\.[01] (\d{3})(?: [^\r]*)?\r\n/.exec(head)?.[1];
  if (status === undefined) throw new UpstreamError("connect", "The proxy does not answer in HTTP");
  if (!status.startsWith("2")) throw new UpstreamError("connect", `The proxy refused with ${status}`);
}

async function readHead(wire: Wire): Promise<string> {
  let head = "";
  while (!head.endsWith(END)) {
    if (head.length >= HEAD_BYTES_MAX) throw new UpstreamError("connect", "The proxy's answer is too long");
    const buffer = new Uint8Array(missing(head));
    const bytes = await wire.read(buffer);
    if (bytes === null) throw new UpstreamError("connect", "The proxy closed the connection");
    head += fromUtf8(buffer.subarray(0, bytes));
  }
  return head;
}

/** Bytes that must come before the head can end. */
function missing(head: string): number {
  for (let length = END.length - 1; length > 0; length--) {
    if (head.endsWith(END.slice(0, length))) return END.length - length;
  }
  return END.length;
}

/**
 * Whether a host is reached without the proxy: `*`, the host itself, a domain it lies in (with or without a dot), and
 * for IP addresses networks in CIDR notation.
 */
export function bypassesProxy(hostname: string, noProxy: readonly string[]): boolean {
  const host = hostname.toLowerCase();
  return noProxy.some((raw) => {
    const entry = raw.trim().toLowerCase();
    if (entry === "*") return true;
    if (parseIp(host)) return contains(entry, host);
    const domain = entry.replace(/:\d+$/, "").replace(/^\*?\./, "");
    return domain !== "" && (host === domain || host.endsWith(`.${domain}`));
  });
}

/** Environment variables hold all sorts of things; what is no network contains nothing. */
function contains(network: string, address: string): boolean {
  try {
    return CidrSet.parse([network]).has(address);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
