/**
 * TLS with a client certificate.
 *
 * Why through `node:tls`: `Deno.startTls` takes no certificate of its own, and `Deno.connectTls` only together with the
 * address as the name to verify. It costs more per byte, so it is used for upstreams that ask for a certificate alone, and
 * not through proxies.
 */
import type { Socket } from "node:net";
import * as tls from "node:tls";
import type { Wire } from "./dial.ts";
import { aborted } from "./upstream_error.ts";

/** What TLS is made with. */
export interface ClientTls {
  readonly serverName: string;
  /** PEM. */
  readonly caCerts: readonly string[];
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

/** A byte stream over a socket of `node:net` or `node:tls`. */
export class SocketWire implements Wire {
  #failure: Error | null = null;
  #ended = false;
  #changed: PromiseWithResolvers<void> | null = null;

  constructor(readonly socket: Socket) {
    socket.on("readable", () => this.#wake());
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("error", (error) => {
      this.#failure = error;
      this.#wake();
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#failure) throw this.#failure;
      const bytes = this.#take(into.length);
      if (bytes) {
        into.set(bytes);
        return bytes.length;
      }
      if (this.#ended) return null;
      this.#changed ??= Promise.withResolvers();
      await this.#changed.promise;
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    return promise;
  }

  close(): void {
    this.socket.destroy();
    this.#ended = true;
    this.#wake();
  }

  #take(max: number): Uint8Array | null {
    const { socket } = this;
    // Reading nothing is what makes a socket tell of its end.
    return socket.read(Math.min(max, socket.readableLength) || undefined) as Uint8Array | null;
  }

  #wake(): void {
    this.#changed?.resolve();
    this.#changed = null;
  }
}

/** Opens a connection with TLS. Rejects with what the socket or TLS says. */
export async function openSecureSocket(
  { hostname, port }: { readonly hostname: string; readonly port: number },
  o: ClientTls,
  signal: AbortSignal,
): Promise<Wire> {
  const socket = tls.connect({
    host: hostname,
    port,
    servername: o.serverName,
    ca: [...tls.rootCertificates, ...o.caCerts],
    cert: o.certificate,
    key: o.key,
    ALPNProtocols: ["http/1.1"],
  });
  await settled(socket, "secureConnect", signal);
  socket.setNoDelay(true);
  return new SocketWire(socket);
}

function settled(socket: Socket, event: "secureConnect", signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => {
    socket.destroy();
    reject(aborted());
  };
  signal.addEventListener("abort", onAbort, { once: true });
  socket.once(event, resolve);
  socket.once("error", reject);
  socket.once("close", () => reject(new Error("The peer closed the connection")));
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}
