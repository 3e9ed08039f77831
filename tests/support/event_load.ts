/** A steady stream of events at a node that may come and go. */
import { postEvent } from "./post_event.ts";
import { pause } from "./until.ts";

const IN_FLIGHT_MAX = 64;

/** Posts events until it is stopped, and remembers which were acknowledged. */
export class EventLoad {
  /** Ids of the events answered with 200. */
  readonly acknowledged = new Set<string>();
  /** Requests that ended in something else than 200, or without an answer. */
  failed = 0;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  #isStopped = false;

  /** @param everyMs time between two events */
  constructor(private readonly url: string, private readonly everyMs: number) {
    this.#running = this.#run();
  }

  /** Starts nothing more and waits for all answers. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await Promise.all(this.#inFlight);
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      if (this.#inFlight.size < IN_FLIGHT_MAX) {
        const post = this.#post().finally(() => this.#inFlight.delete(post));
        this.#inFlight.add(post);
      }
      await pause(this.everyMs);
    }
  }

  async #post(): Promise<void> {
    try {
      const { eventId, status } = await postEvent(this.url);
      if (status === 200) this.acknowledged.add(eventId);
      else this.failed++;
    } catch {
      this.failed++;
    }
  }
}
