import type { Clock } from "../core/clock.ts";
import { openSecureSocket } from "./client_certificate.ts";
import { openTunnel, type ProxySpec } from "./proxy_tunnel.ts";
import { SilentPeers } from "./silent_peers.ts";
import { aborted, UpstreamError } from "./upstream_error.ts";

export { aborted };

/** Where requests go. */
export interface UpstreamTarget {
  readonly scheme: "http" | "https";
  /** Name or address that is dialled. No brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Name asked for and verified in TLS; default: `hostname`. */
  readonly serverName?: string;
  /** `Host` header instead of the one made of `hostname` and `port`. */
  readonly hostHeader: string | null;
  /** Value of an `Authorization` header for every request. */
  readonly authorization?: string | null;
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

/** How streams are opened. */
export interface DialOptions {
  /** Trusted beside the default roots, PEM. */
  readonly caCerts?: readonly string[];
  /** PEM. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string } | null;
  readonly proxy?: ProxySpec | null;
}

/** Dials with the operating system's sockets and Deno's TLS. */
export function denoDial(o: DialOptions = {}): Dial {
  const { caCerts = [], clientCertificate = null, proxy = null } = o;
  const silent = new SilentPeers();
  return async (target, signal) => {
    if (clientCertificate !== null && target.scheme === "https") {
      return await dialWithCertificate(target, { caCerts, proxy, ...clientCertificate }, signal);
    }
    const open = () => openStream(target, proxy, signal);
    if (target.scheme === "http") return await open();
    await silent.passed(target, open, signal);
    const conn = await open();
    try {
      return await handshake(conn, target, caCerts, signal);
    } catch (error) {
      if (signal.aborted) silent.add(target);
      throw error;
    }
  };
}

async function openStream(
  target: UpstreamTarget,
  proxy: ProxySpec | null,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  const { hostname, port } = proxy ?? target;
  const conn = await naming(
    "connect",
    `connect to ${hostname}:${port}`,
    () => Deno.connect({ hostname, port, signal }),
  );
  conn.setNoDelay(true);
  if (proxy) await tunnel(conn, target, proxy, signal);
  return conn;
}

async function dialWithCertificate(
  target: UpstreamTarget,
  o: Required<Pick<DialOptions, "caCerts" | "proxy">> & { certificate: string; key: string },
  signal: AbortSignal,
): Promise<Wire> {
  if (o.proxy) throw new UpstreamError("tls", "A client certificate cannot be shown through a proxy");
  const serverName = target.serverName ?? target.hostname;
  const what = `agree on TLS with ${serverName} at ${target.hostname}:${target.port}`;
  return await naming("tls", what, () => openSecureSocket(target, { serverName, ...o }, signal));
}

/** Closes the connection when there is no tunnel in the end. */
async function tunnel(
  wire: Wire,
  { hostname, port }: UpstreamTarget,
  proxy: ProxySpec,
  signal: AbortSignal,
): Promise<void> {
  const abandon = (): void => close(wire);
  signal.addEventListener("abort", abandon, { once: true });
  const authority = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  try {
    await naming("connect", `reach ${authority} through the proxy`, () => openTunnel(wire, authority, proxy));
  } catch (error) {
    abandon();
    throw error;
  } finally {
    signal.removeEventListener("abort", abandon);
  }
}

async function naming<T>(kind: "connect" | "tls", what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof UpstreamError ? error : new UpstreamError(kind, `Cannot ${what}: ${text(error)}`);
  }
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
  const serverName = target.serverName ?? target.hostname;
  let open: Wire = conn;
  const abandon = (): void => close(open);
  signal.addEventListener("abort", abandon, { once: true });
  try {
    const tls = await Deno.startTls(conn, {
      hostname: serverName,
      caCerts: [...caCerts],
      alpnProtocols: ["http/1.1"],
    });
    open = tls;
    if (signal.aborted) abandon();
    await tls.handshake();
    return tls;
  } catch (error) {
    abandon();
    throw new UpstreamError("tls", `Cannot agree on TLS with ${serverName}: ${text(error)}`);
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
