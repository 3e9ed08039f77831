/**
 * A line to wait in: first come, first served, and whoever is in it may leave from anywhere.
 *
 * Why not a `Set`: one that is emptied at the front and filled at the back keeps the places of those who left until
 * it is rebuilt, and passes over all of them to find the first; with a hundred thousand waiting that costs more
 * than everything else. Here all operations take constant time, and a place is part of whoever waits.
 */

/** Somebody who can wait in one line at a time. Only {@link TurnLine} changes these fields. */
export interface InLine<T extends InLine<T>> {
  line: TurnLine<T> | null;
  before: T | null;
  behind: T | null;
}

/** Those who wait, in the order in which they came. */
export class TurnLine<T extends InLine<T>> {
  #first: T | null = null;
  #last: T | null = null;

  /** Whose turn it is, or null. */
  get first(): T | null {
    return this.#first;
  }

  /** Goes to the end; whoever is in this line already keeps the place, whoever is in another one leaves that. */
  join(one: T): void {
    if (one.line === this) return;
    one.line?.leave(one);
    one.line = this;
    one.before = this.#last;
    if (this.#last) this.#last.behind = one;
    else this.#first = one;
    this.#last = one;
  }

  /** Gives the place up; whoever is not in this line stays where it is. */
  leave(one: T): void {
    if (one.line !== this) return;
    if (one.before) one.before.behind = one.behind;
    else this.#first = one.behind;
    if (one.behind) one.behind.before = one.before;
    else this.#last = one.before;
    one.line = one.before = one.behind = null;
  }
}
