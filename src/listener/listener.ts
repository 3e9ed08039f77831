/**
 * The HTTP side of a node: one application, carried by one of two engines.
 *
 * Why two: `node:http` bounds slow clients and costs twice as much; `Deno.serve` does not, and is for nodes behind a
 * load balancer that does. Routes, answers and limits are those of the application and the same in both.
 *
 * Layout: {@link IncomingRequest} is a request as an engine presents it; `routes.ts` is the table of paths;
 * `endpoints/` holds one file per route; `submission.ts` is what the ingestion endpoints share; `body_reader.ts` and
 * `decode_body.ts` bound bodies; `answer.ts` words answers; {@link Ingress} is the way inwards. What is passed on to the
 * upstream while its client waits takes another way: `body_stream.ts` and `forwarding.ts`.
 *
 * Limits: body sizes, bytes of all bodies together, time for heads and bodies (`internet`). What is beyond is refused
 * with 413, 503 and 408.
 *
 * Drain, in this order: {@link Listener.stopAccepting}, {@link Listener.waitForBodies}, {@link Listener.close}.
 */
import type { Clock } from "../core/clock.ts";
import { App, type AppOptions } from "./app.ts";
import { BodyPaces, type PaceLimits } from "./body_pace.ts";
import type { BodyReader } from "./body_reader.ts";
import { type ConnectionBounds, ConnectionGate } from "./connection_gate.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { startNodeEngine } from "./node_engine.ts";
import { startServeEngine } from "./serve_engine.ts";
import type { TlsMaterial } from "./tls_material.ts";

/** What stands between a listener and its clients. */
export type Exposure = "internet" | "load_balancer";

/** Options of {@link Listener.start}. */
export interface ListenerOptions extends Omit<EngineOptions, "app" | "paces" | "gate" | "tls">, AppOptions {
  readonly exposure: Exposure;
  /** Shared with the ingestion routes. */
  readonly bodies: BodyReader;
  /** How slowly bodies may come. */
  readonly pace: PaceLimits;
  /** Bounds on connections; `internet` only. */
  readonly connections: ConnectionBounds;
  /** Second port, with TLS; null for none. */
  readonly tls?: { readonly port: number; readonly material: TlsMaterial } | null;
}

/** The listening ports of a node: a plain one, and one with TLS if there are certificates. */
export class Listener {
  readonly #app: App;
  readonly #engines: readonly [Engine, ...Engine[]];
  readonly #bodies: BodyReader;
  readonly #clock: Clock;
  readonly #paces: BodyPaces;

  private constructor(
    app: App,
    engines: readonly [Engine, ...Engine[]],
    paces: BodyPaces,
    { bodies, clock }: ListenerOptions,
  ) {
    this.#app = app;
    this.#engines = engines;
    this.#paces = paces;
    this.#bodies = bodies;
    this.#clock = clock;
  }

  /** Starts listening; rejects with what binding fails with, such as `Deno.errors.AddrInUse`. */
  static async start(options: ListenerOptions): Promise<Listener> {
    const { clock, metrics, tls } = options;
    const app = new App(options);
    const start = options.exposure === "internet" ? startNodeEngine : startServeEngine;
    const paces = new BodyPaces(clock, options.pace);
    const gate = new ConnectionGate({ bounds: options.connections, clock, metrics });
    const shared = { ...options, app, paces, gate };
    const plain = await start({ ...shared, tls: null });
    if (!tls) return new Listener(app, [plain], paces, options);
    try {
      const secure = await start({ ...shared, port: tls.port, tls: tls.material });
      return new Listener(app, [plain, secure], paces, options);
    } catch (error) {
      await plain.close(0);
      throw error;
    }
  }

  /** Where it listens; the port is the real one also when 0 was asked for. */
  get address(): Engine["address"] {
    return this.#engines[0].address;
  }

  /** The port with TLS, or null. */
  get tlsPort(): number | null {
    return this.#engines[1]?.address.port ?? null;
  }

  /** Gives new connections to the TLS port other certificates; those that are open go on. */
  replaceCertificates(material: TlsMaterial): void {
    this.#engines[1]?.replaceCertificates(material);
  }

  /** Refuses new connections where the engine can, and asks clients to close theirs with every further answer. */
  stopAccepting(): void {
    this.#app.closing = true;
    for (const engine of this.#engines) engine.stopAccepting();
  }

  /** Waits until no body is being read; false when that took longer than `timeoutMs`. */
  async waitForBodies(timeoutMs: number): Promise<boolean> {
    const idle = this.#bodies.whenIdle().then(() => true);
    const stop = new AbortController();
    const result = await Promise.race([idle, this.#clock.sleep(timeoutMs, stop.signal).then(() => false)]);
    stop.abort();
    return result;
  }

  /**
   * Closes the ports and every connection, those with a request after its answer.
   *
   * @param graceMs how long answers may take; 0 cuts connections at once
   */
  async close(graceMs: number): Promise<void> {
    this.stopAccepting();
    await Promise.all(this.#engines.map((engine) => engine.close(graceMs)));
    this.#paces.close();
  }
}
