/**
 * Where a request really came from: ingestion reference, section 6.1.
 *
 * Why only from trusted proxies: anyone can write a forwarding header, and an address that anyone can choose is no
 * use for blocking or filtering. From any other peer the headers are ignored.
 */
import type { CidrSet } from "../core/cidr.ts";
import { parseIp } from "../core/cidr.ts";
import type { IncomingRequest } from "./incoming_request.ts";

/** Address of a client, and the chain that is told to the upstream. */
export interface ClientAddress {
  /** Nearest address that is not one of our own proxies. */
  readonly address: string;
  /** Value of `X-Forwarded-For` towards the upstream; ends with the peer. */
  readonly forwardedFor: string;
  /** False for the address of one of our own proxies, which is all that is known of the client then. */
  readonly isForeign: boolean;
  /** Whether the peer is one of our own proxies, whose word about the client counts. */
  readonly isPeerTrusted: boolean;
}

/** In the order in which the first non-empty one wins. */
const HEADERS = [
  "cf-connecting-ip",
  "x-vercel-forwarded-for",
  "x-sentry-forwarded-for",
  "x-forwarded-for",
] as const;

/**
 * Found out once per request.
 *
 * @param trusted addresses of proxies whose headers are believed; null for none
 */
export function clientAddress(request: IncomingRequest, trusted: CidrSet | null): ClientAddress {
  return request.client ??= findClient(request, trusted);
}

function findClient(request: IncomingRequest, trusted: CidrSet | null): ClientAddress {
  const peer = plainAddress(request.peer);
  if (trusted === null || !trusted.has(peer)) {
    return { address: peer, forwardedFor: peer, isForeign: true, isPeerTrusted: false };
  }
  for (const name of HEADERS) {
    const chain = request.header(name);
    if (!chain) continue;
    const address = nearestForeign(chain, peer, trusted);
    const isForeign = !trusted.has(address);
    return { address, forwardedFor: `${chain}, ${peer}`, isForeign, isPeerTrusted: true };
  }
  return { address: peer, forwardedFor: peer, isForeign: false, isPeerTrusted: true };
}

/** Walks the chain from our side; what stands left of the first foreign address is that client's own word. */
function nearestForeign(chain: string, peer: string, trusted: CidrSet): string {
  let nearest = peer;
  for (const entry of chain.split(",").toReversed()) {
    const address = plainAddress(entry.trim());
    if (parseIp(address) === null) return nearest;
    nearest = address;
    if (!trusted.has(address)) return nearest;
  }
  return nearest;
}

/** An address as others write it: IPv4 ones look like themselves also on sockets that serve both families. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
