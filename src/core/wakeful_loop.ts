/**
 * Something done again and again until it is stopped, with pauses that end early when there is news.
 *
 * Limits: one turn at a time. News that comes during a turn ends the pause at the end of that turn at once.
 */
export class WakefulLoop {
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #finished: Promise<void> = Promise.resolve();

  /** Aborts when the loop is stopped. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /**
   * Starts the turns, one after the other.
   *
   * @param turn what is done, its pause included; `woken` aborts when there is news since its start, and at the end
   */
  start(turn: (woken: AbortSignal) => Promise<void>): void {
    this.#finished = this.#run(turn);
  }

  /** There is news. */
  wake(): void {
    this.#wake.abort();
  }

  /** Ends all pauses; resolves when the last turn is over. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.wake();
    await this.#finished;
  }

  async #run(turn: (woken: AbortSignal) => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      await turn(this.#wake.signal);
    }
  }
}
