import { Backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { reopen } from "../core/reopen.ts";
import { logger } from "../telemetry/log.ts";

const log = logger("node");

/** How long what is under way at the end has. */
const GRACE_MS = 1000;

/** What {@link LastingServer} needs of a Deno server. */
export type ServerLike = Pick<Deno.HttpServer, "finished" | "shutdown">;

/**
 * A server that listens again when accepting connections fails, as it does when no file descriptor is left: a Deno server
 * ends for good then, and an operator would see nothing of a node in trouble.
 */
export class LastingServer<S extends ServerLike> {
  readonly #stopped = new AbortController();
  readonly #backoff = new Backoff({ baseMs: 100, factor: 2, maxMs: 5000 });
  #current: S;

  /** @param listen opens the server; called again, with the one before, when that one failed */
  constructor(private readonly clock: Clock, private readonly listen: (previous: S | null) => S) {
    this.#current = this.#open(null);
  }

  /** The server that listens, or the last one that did. */
  get current(): S {
    return this.#current;
  }

  /** Ends it once what is under way is answered, or {@link GRACE_MS} are over: a reader that reads nothing holds up no drain. */
  async shutdown(): Promise<void> {
    this.#stopped.abort();
    const isOver = new AbortController();
    const ended = this.#current.shutdown().catch(() => {});
    await Promise.race([ended, this.clock.sleep(GRACE_MS, isOver.signal)]);
    isOver.abort();
  }

  #open(previous: S | null): S {
    const server = this.listen(previous);
    server.finished.catch((error) => this.#reopen(server, error));
    return server;
  }

  async #reopen(failed: S, error: unknown): Promise<void> {
    const { signal } = this.#stopped;
    if (signal.aborted) return;
    log.error("the admin listener failed, listening again: {error}", { error });
    await reopen({ clock: this.clock, backoff: this.#backoff, signal }, () => {
      this.#current = this.#open(failed);
    });
  }
}
