/** What carries the application: the seam between routing and sockets. */
import type { CidrSet } from "../core/cidr.ts";
import type { Clock } from "../core/clock.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { App } from "./app.ts";
import type { BodyPaces } from "./body_pace.ts";
import type { ConnectionGate } from "./connection_gate.ts";
import type { TlsMaterial } from "./tls_material.ts";

/** How long connections are waited for, ms; read at use, and may change. */
export interface ConnectionTimeouts {
  /** For the whole head of a request. */
  readonly headersMs: number;
  /** Between two requests. */
  readonly idleMs: number;
  /** For a client to take more of its answer. */
  readonly answerMs: number;
}

/** Where an engine listens, and how long it waits for clients. */
export interface EngineOptions {
  readonly app: App;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly hostname: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Several listeners, each in an isolate of its own, share the port; the kernel spreads connections. */
  readonly reusePort: boolean;
  /** Connections the system may hold before they are accepted. */
  readonly backlog: number;
  /** Counts connections. `internet` only. */
  readonly gate: ConnectionGate;
  /** Peers that begin connections with a PROXY header; null for none. `internet` only. */
  readonly proxies: CidrSet | null;
  /** Certificates; null on a port without TLS. */
  readonly tls: TlsMaterial | null;
  readonly timeouts: ConnectionTimeouts;
  /** How slowly bodies may come. */
  readonly paces: BodyPaces;
}

/** A listening socket with a server behind it. */
export interface Engine {
  readonly address: { readonly hostname: string; readonly port: number };
  /** Refuses new connections, as far as the engine can without harming requests that are being read. */
  stopAccepting(): void;
  /** Gives new connections other certificates; those that are open go on. */
  replaceCertificates(material: TlsMaterial): void;
  /**
   * Ends everything: connections without a request at once, the rest after their answers.
   *
   * @param graceMs how long answers may take; after it connections are cut. 0 cuts at once
   */
  close(graceMs: number): Promise<void>;
}

// deno-lint-ignore no-control-regex
const NOT_IN_A_HOST = /[\x00-\x20"#/<>?@\\^`{|}\x7f]/;

/** Whether a `Host` header can be part of a URL; with `/` or `?` in it, it would be read as a part of the path. */
export function isHost(header: string | null | undefined): boolean {
  return !header || !NOT_IN_A_HOST.test(header);
}
