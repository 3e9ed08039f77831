/**
 * The status page's live end: server-sent events, one a second and at once when the node's state changes.
 *
 * Limits: {@link SUBSCRIBERS_MAX} pages; more are answered with 503. A page that reads too slowly misses updates, never the
 * newest: nothing queues for it.
 */
import { utf8 } from "../core/bytes.ts";

const SUBSCRIBERS_MAX = 16;

/** What subscribers are sent. */
export interface FeedSource {
  /** Once, at the start. */
  history(): unknown;
  /** With each update. */
  update(): unknown;
}

type Subscriber = ReadableStreamDefaultController<Uint8Array>;

/** The pages that watch. */
export class StatusFeed {
  readonly #subscribers = new Set<Subscriber>();
  #isClosed = false;

  constructor(private readonly source: FeedSource) {}

  /** Pages that watch at present. */
  get size(): number {
    return this.#subscribers.size;
  }

  /** A stream for one more page; null when there are too many. */
  open(): ReadableStream<Uint8Array> | null {
    if (this.#isClosed || this.#subscribers.size >= SUBSCRIBERS_MAX) return null;
    let subscriber: Subscriber;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#subscribers.add(subscriber = controller);
        controller.enqueue(eventOf("history", this.source.history()));
        controller.enqueue(eventOf("update", this.source.update()));
      },
      cancel: () => void this.#subscribers.delete(subscriber),
    }, { highWaterMark: 3 });
  }

  /** Sends everybody what is so now. */
  publish(): void {
    if (this.#subscribers.size === 0) return;
    const bytes = eventOf("update", this.source.update());
    for (const subscriber of this.#subscribers) {
      if ((subscriber.desiredSize ?? 0) > 0) subscriber.enqueue(bytes);
    }
  }

  /** Ends all streams. */
  close(): void {
    this.#isClosed = true;
    for (const subscriber of this.#subscribers) subscriber.close();
    this.#subscribers.clear();
  }
}

function eventOf(name: string, data: unknown): Uint8Array {
  return utf8(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
