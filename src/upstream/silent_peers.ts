/**
 * Peers that take connections and never answer a TLS handshake.
 *
 * Why: the runtime keeps the socket of a handshake that was given up until the peer speaks or closes, and nothing in a
 * program can end it. A stuck upstream that is tried again and again would use up all descriptors. So after one such
 * handshake a peer is knocked at first, over a connection that is ours to close: with an alert, which every TLS server
 * answers or hangs up on at once. No further handshake begins before it has.
 *
 * Limits: {@link PEERS_MAX} peers are remembered; beyond them, all are forgotten.
 */
import { close, type Wire } from "./dial.ts";
import { UpstreamError } from "./upstream_error.ts";

const PEERS_MAX = 256;
/** A record of TLS 1.0 with the fatal alert `handshake_failure`: what any version understands. */
const ALERT = new Uint8Array([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28]);

/** Address and port of a peer. */
export interface PeerAddress {
  readonly hostname: string;
  readonly port: number;
}

/** What is known of peers that were silent. */
export class SilentPeers {
  readonly #peers = new Set<string>();

  /** A handshake with a peer was given up. */
  add(peer: PeerAddress): void {
    if (this.#peers.size >= PEERS_MAX) this.#peers.clear();
    this.#peers.add(nameOf(peer));
  }

  /**
   * Resolves at once for a peer that is not known to be silent, and else when it has shown a sign of life.
   *
   * @param open opens a stream to it
   * @throws {UpstreamError} what `open` throws, or `tls` when `signal` aborted before
   */
  async passed(peer: PeerAddress, open: () => Promise<Wire>, signal: AbortSignal): Promise<void> {
    if (!this.#peers.has(nameOf(peer))) return;
    if (!await isAnswering(await open(), signal)) {
      throw new UpstreamError("tls", `${nameOf(peer)} takes connections, but does not speak TLS`);
    }
    this.#peers.delete(nameOf(peer));
  }
}

/** Closes the stream. */
async function isAnswering(wire: Wire, signal: AbortSignal): Promise<boolean> {
  const end = (): void => close(wire);
  signal.addEventListener("abort", end, { once: true });
  try {
    if (signal.aborted) return false;
    await wire.write(ALERT);
    await wire.read(new Uint8Array(1));
    return !signal.aborted;
  } catch {
    // Hanging up is an answer, unless it was us.
    return !signal.aborted;
  } finally {
    signal.removeEventListener("abort", end);
    end();
  }
}

function nameOf({ hostname, port }: PeerAddress): string {
  return `${hostname}:${port}`;
}
