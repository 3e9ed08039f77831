import type { Clock } from "../core/clock.ts";
import { UpstreamError } from "./upstream_error.ts";

/** Where requests go. */
export interface UpstreamTarget {
  readonly scheme: "http" | "https";
  /** Name or address that is dialled; a name is also the one asked for and verified in TLS. No brackets. */
  readonly hostname: string;
  readonly port: number;
  /** `Host` header instead of the one made of `hostname` and `port`. */
  readonly hostHeader: string | null;
}

/** An open byte stream to an upstream; a `Deno.Conn` is one. */
export interface Wire {
  /** Resolves with the number of bytes put into `into`, or null when the peer has ended its side. */
  read(into: Uint8Array): Promise<number | null>;
  /** Resolves with the number of bytes taken, at least 1. */
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/**
 * Opens a stream, TLS included; gives up when `signal` aborts.
 *
 * Rejects with {@link UpstreamError} `connect` or `tls`.
 */
export type Dial = (target: UpstreamTarget, signal: AbortSignal) => Promise<Wire>;

/** The target of an upstream URL; `hostHeader` overrides the Host header. */
export function upstreamTarget(url: string, hostHeader: string | null): UpstreamTarget {
  const { protocol, hostname, port } = new URL(url);
  const scheme = protocol === "https:" ? "https" : "http";
  return {
    scheme,
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? (scheme === "https" ? 443 : 80) : Number(port),
    hostHeader,
  };
}

/** Dials with the operating system's sockets and Deno's TLS; `caCerts` are trusted beside the default roots (PEM). */
export function denoDial(caCerts: readonly string[] = []): Dial {
  return async (target, signal) => {
    let conn: Deno.TcpConn;
    try {
      conn = await Deno.connect({ hostname: target.hostname, port: target.port, signal });
    } catch (error) {
      throw new UpstreamError(
        "connect",
        `Cannot connect to ${target.hostname}:${target.port}: ${text(error)}`,
      );
    }
    conn.setNoDelay(true);
    return target.scheme === "http" ? conn : await handshake(conn, target, caCerts, signal);
  };
}

/**
 * Dials, and gives up after `timeoutMs` or when `signal` aborts.
 *
 * @throws {UpstreamError} `connect`, `tls`, `timeout` or `aborted`
 */
export async function dialWithin(
  o: {
    readonly dial: Dial;
    readonly target: UpstreamTarget;
    readonly clock: Clock;
    readonly timeoutMs: number;
  },
  signal: AbortSignal,
): Promise<Wire> {
  const abort = new AbortController();
  const gaveUp = Promise.withResolvers<never>();
  const giveUp = (error: UpstreamError): void => {
    abort.abort(error);
    gaveUp.reject(error);
  };
  const onAbort = (): void => giveUp(aborted());
  const { hostname, port } = o.target;
  const timer = o.clock.after(o.timeoutMs, () => {
    giveUp(new UpstreamError("timeout", `Timed out connecting to ${hostname}:${port}`));
  });
  signal.addEventListener("abort", onAbort);
  try {
    if (signal.aborted) throw aborted();
    const dialling = o.dial(o.target, abort.signal);
    // A stream that opens after all has no owner any more.
    dialling.then((wire) => abort.signal.aborted && close(wire), () => {});
    const wire = await Promise.race([dialling, gaveUp.promise]);
    abort.signal.throwIfAborted();
    return wire;
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
  }
}

/** What a request fails with that nobody wants any more. */
export function aborted(): UpstreamError {
  return new UpstreamError("aborted", "The request was given up");
}

/** `Host` header for a target. */
export function hostOf({ scheme, hostname, port, hostHeader }: UpstreamTarget): string {
  if (hostHeader !== null) return hostHeader;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return port === (scheme === "https" ? 443 : 80) ? host : `${host}:${port}`;
}

async function handshake(
  conn: Deno.TcpConn,
  target: UpstreamTarget,
  caCerts: readonly string[],
  signal: AbortSignal,
): Promise<Wire> {
  let open: Wire = conn;
  const abandon = (): void => close(open);
  signal.addEventListener("abort", abandon, { once: true });
  try {
    const tls = await Deno.startTls(conn, {
      hostname: target.hostname,
      caCerts: [...caCerts],
      alpnProtocols: ["http/1.1"],
    });
    open = tls;
    if (signal.aborted) abandon();
    await tls.handshake();
    return tls;
  } catch (error) {
    abandon();
    throw new UpstreamError("tls", `No TLS with ${target.hostname}:${target.port}: ${text(error)}`);
  } finally {
    signal.removeEventListener("abort", abandon);
  }
}

/** Closes a stream that may be closed already. */
export function close(wire: Wire): void {
  try {
    wire.close();
  } catch {
    // Closed by the failure that brought us here.
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
