/**
 * A value that is replaced as a whole while others use it.
 *
 * Why: settings change while a node runs. Whoever needs one reads it at the moment of use, which costs a field read, and
 * never sees half of a change; whoever has to do something about a change watches. A class that reads its options at use
 * need not know: it is given a {@link Live.view}, or getters.
 */
export class Live<T> {
  #current: T;
  readonly #watchers: ((current: T) => void)[] = [];

  constructor(current: T) {
    this.#current = current;
  }

  get current(): T {
    return this.#current;
  }

  /** Replaces the value, then tells the watchers. */
  set(next: T): void {
    this.#current = next;
    for (const watcher of this.#watchers) watcher(next);
  }

  /**
   * The object that `pick` finds in the value, with its fields read anew at each access. Its keys are those of now. A
   * copy of it, a spread one too, does not change any more.
   */
  view<V extends object>(pick: (current: T) => V): V {
    const fields = Object.keys(pick(this.#current)).map((key) => [key, {
      enumerable: true,
      get: () => pick(this.#current)[key as keyof V],
    }]);
    return Object.defineProperties({}, Object.fromEntries(fields)) as V;
  }

  /** Calls `use` with the present value at once, and with every later one. */
  watch(use: (current: T) => void): void {
    this.#watchers.push(use);
    use(this.#current);
  }
}
