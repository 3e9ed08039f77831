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
import type { Metrics } from "../telemetry/registry.ts";
import { App } from "./app.ts";
import { BodyPaces, type PaceLimits } from "./body_pace.ts";
import type { BodyReader } from "./body_reader.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { startNodeEngine } from "./node_engine.ts";
import type { Route } from "./routes.ts";
import { startServeEngine } from "./serve_engine.ts";

/** What stands between a listener and its clients. */
export type Exposure = "internet" | "load_balancer";

/** Options of {@link Listener.start}. */
export interface ListenerOptions extends Omit<EngineOptions, "app" | "paces"> {
  readonly exposure: Exposure;
  readonly routes: readonly Route[];
  /** Takes what is below `/api/` and no route's. */
  readonly fallback?: Route | null;
  /** Version in the `Server` header. */
  readonly version: string;
  /** Shared with the ingestion routes. */
  readonly bodies: BodyReader;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** How slowly bodies may come. */
  readonly pace: PaceLimits;
}

/** A listening port of a node. */
export class Listener {
  readonly #app: App;
  readonly #engine: Engine;
  readonly #bodies: BodyReader;
  readonly #clock: Clock;
  readonly #paces: BodyPaces;

  private constructor(app: App, engine: Engine, paces: BodyPaces, { bodies, clock }: ListenerOptions) {
    this.#app = app;
    this.#engine = engine;
    this.#paces = paces;
    this.#bodies = bodies;
    this.#clock = clock;
  }

  /** Starts listening; rejects with what binding fails with, such as `Deno.errors.AddrInUse`. */
  static async start(options: ListenerOptions): Promise<Listener> {
    const app = new App(options);
    const start = options.exposure === "internet" ? startNodeEngine : startServeEngine;
    const paces = new BodyPaces(options.clock, options.pace);
    const engine = await start({ ...options, app, paces });
    return new Listener(app, engine, paces, options);
  }

  /** Where it listens; the port is the real one also when 0 was asked for. */
  get address(): Engine["address"] {
    return this.#engine.address;
  }

  /** Refuses new connections where the engine can, and asks clients to close theirs with every further answer. */
  stopAccepting(): void {
    this.#app.closing = true;
    this.#engine.stopAccepting();
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
   * Closes the port and every connection, those with a request after its answer.
   *
   * @param graceMs how long answers may take; 0 cuts connections at once
   */
  async close(graceMs: number): Promise<void> {
    this.stopAccepting();
    await this.#engine.close(graceMs);
    this.#paces.close();
  }
}
