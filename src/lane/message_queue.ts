/**
 * Handles the messages of a half one after the other, although handling takes time: a `stop` that arrives while the
 * half still starts is handled once it has started.
 */
import type { HalfPort } from "./half_host.ts";
import type { ToHalf } from "./messages.ts";

/** Serial executor of a half's messages. */
export class MessageQueue {
  #last: Promise<void> = Promise.resolve();

  constructor(
    private readonly port: HalfPort,
    private readonly handle: (message: ToHalf) => Promise<void> | void,
  ) {}

  /** Adds a message; a handler that throws is reported as the death of the half. */
  push(message: ToHalf): void {
    this.#last = this.#last.then(() => this.handle(message)).catch((error) => {
      this.port.post({ type: "failed", message: error instanceof Error ? error.message : String(error) });
    });
  }
}
