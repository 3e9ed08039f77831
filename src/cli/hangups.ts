/**
 * SIGHUP from the moment a node begins to start: it must neither end the process, as it does by default, nor be lost. What
 * comes before anybody can act on it is remembered and acted on once, however often it came.
 */
export class Hangups {
  readonly #listener = (): void => this.#received();
  #use: (() => void) | null = null;
  #isPending = false;

  constructor() {
    Deno.addSignalListener("SIGHUP", this.#listener);
  }

  /** Calls `use` for every signal from now on, and at once if there was one already. */
  handle(use: () => void): void {
    this.#use = use;
    if (this.#isPending) use();
    this.#isPending = false;
  }

  /** Signals do again what they do by default. */
  close(): void {
    Deno.removeSignalListener("SIGHUP", this.#listener);
  }

  #received(): void {
    if (this.#use) this.#use();
    else this.#isPending = true;
  }
}
