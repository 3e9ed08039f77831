/**
 * What a connection of exposure `internet` passes before the HTTP server sees it: the bound on connections, the PROXY
 * header of a trusted balancer, the bound on connections of its client, the TLS handshake.
 *
 * Why before: the HTTP server believes the socket, and all of this has to be settled when it reads the first request.
 * The server still accepts and times the connections, so its own bounds hold for them from there on.
 *
 * Limits: header and handshake together have as long as the head of a request. What is beyond a bound, late or broken ends
 * without an answer: nobody is known to speak HTTP yet. A trusted peer must send a PROXY header, anyone else's is none:
 * one that is optional could be written by the client itself.
 */
import type { Server as HttpServer } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { Buffer } from "node:buffer";
import type { CidrSet } from "../core/cidr.ts";
import type { Clock } from "../core/clock.ts";
import { parseProxyHeader, type ProxyHeader } from "../protocol/proxy_protocol.ts";
import { plainAddress } from "./client_address.ts";
import type { ConnectionGate, ConnectionRefusal } from "./connection_gate.ts";
import type { ConnectionTimeouts } from "./engine.ts";
import type { TlsContexts } from "./tls_contexts.ts";
import type { UnreadAnswers } from "./unread_answers.ts";

/** Options of {@link stageSockets}. */
export interface SocketStagesOptions {
  readonly gate: ConnectionGate;
  /** Peers that send a PROXY header; null for none. */
  readonly proxies: CidrSet | null;
  /** Set on a TLS port. */
  readonly tls: TlsContexts | null;
  readonly clock: Clock;
  /** PROXY header and TLS handshake have that of a head. */
  readonly timeouts: ConnectionTimeouts;
  /** Looks after connections once they are the HTTP server's. */
  readonly unread: UnreadAnswers;
}

/** Addresses that PROXY headers stated, by socket. */
const stated = new WeakMap<object, string>();

/** Address of a socket's other end: what a trusted balancer said, or else the peer's own. */
export function peerOf(socket: Socket): string {
  return stated.get(socket) ?? socket.remoteAddress ?? "";
}

/** Puts the stages between `server` and its connections. */
export function stageSockets(server: HttpServer, options: SocketStagesOptions): void {
  const [serve] = server.listeners("connection") as ((socket: Socket) => void)[];
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    new StagedSocket(socket, options).run((ready) => {
      options.unread.watch(ready);
      serve!.call(server, ready);
    });
  });
}

class StagedSocket {
  #isOver = false;

  constructor(readonly socket: Socket, readonly o: SocketStagesOptions) {}

  run(serve: (socket: Socket) => void): void {
    const { socket, o: { gate, proxies, tls, clock, timeouts } } = this;
    if (!gate.open()) return void socket.destroy();
    socket.once("close", () => gate.close());
    // Until the HTTP server listens to them, errors concern nobody: the socket closes.
    socket.on("error", () => {});
    const peer = plainAddress(socket.remoteAddress ?? "");
    const isProxied = proxies?.has(peer) ?? false;
    if (!isProxied && tls === null) {
      if (this.#claim(peer)) serve(socket);
      return;
    }
    let stage: ConnectionRefusal = isProxied ? "proxy_header" : "tls";
    const timer = clock.after(timeouts.headersMs, () => this.#refuse(stage));
    socket.once("close", () => {
      timer.cancel();
      if (!this.#isOver) gate.refused(stage);
    });
    const encrypt = (address: string | null): void => {
      if (!this.#claim(address ?? peer)) return void (this.#isOver = true);
      stage = "tls";
      this.#encrypt((ready) => {
        this.#isOver = true;
        timer.cancel();
        if (address !== null) stated.set(ready, address);
        serve(ready);
      }, () => this.#refuse("tls"));
    };
    if (isProxied) this.#readHeader(encrypt);
    else encrypt(null);
  }

  #readHeader(done: (source: string | null) => void): void {
    const { socket } = this;
    let read: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
      const header: ProxyHeader = parseProxyHeader(read);
      if (header.kind === "incomplete") return;
      socket.off("data", onData);
      if (header.kind === "invalid") return this.#refuse("proxy_header");
      socket.pause();
      if (read.length > header.bytes) socket.unshift(read.subarray(header.bytes));
      done(header.source);
      // Whoever reads next has begun to listen, but does not know that it was paused.
      socket.resume();
    };
    socket.on("data", onData);
  }

  #encrypt(done: (socket: Socket) => void, failed: () => void): void {
    const { socket, o: { tls } } = this;
    if (tls === null) return done(socket);
    // TLS reads past the socket's buffer, so bytes that came with the PROXY header have to be brought to it.
    const source = socket.readableLength > 0 ? Duplex.from({ readable: socket, writable: socket }) : socket;
    const secured = new TLSSocket(source, {
      isServer: true,
      secureContext: tls.for(""),
      ALPNProtocols: ["http/1.1"],
      SNICallback: (host, choose) => choose(null, tls.for(host)),
    });
    secured.once("close", () => socket.destroy());
    secured.on("error", failed);
    secured.once("secure", () => {
      secured.off("error", failed);
      secured.on("error", () => socket.destroy());
      done(secured);
    });
  }

  #claim(address: string): boolean {
    const release = this.o.gate.claim(address);
    if (release === null) this.socket.destroy();
    else this.socket.once("close", release);
    return release !== null;
  }

  #refuse(reason: ConnectionRefusal): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.o.gate.refused(reason);
    this.socket.destroy();
  }
}
