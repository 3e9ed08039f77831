import type { ParkedRecord } from "./parked_records.ts";

/** Records that go on at once when their upstream has room again; each may stand for a project with many more. */
const RESUMED_MAX = 8;

/** Records for upstreams that have no room, whose projects are on hold meanwhile; about one a project. */
export class PostponedRecords {
  readonly #byUpstream = new Map<string, ParkedRecord[]>();

  add(upstream: string, record: ParkedRecord): void {
    const waiting = this.#byUpstream.get(upstream);
    if (waiting) waiting.push(record);
    else this.#byUpstream.set(upstream, [record]);
  }

  /** Some of the records that wait for an upstream, those that waited longest first. */
  take(upstream: string): ParkedRecord[] {
    const waiting = this.#byUpstream.get(upstream) ?? [];
    const taken = waiting.splice(0, RESUMED_MAX);
    if (waiting.length === 0) this.#byUpstream.delete(upstream);
    return taken;
  }

  /** Whether records wait for an upstream. */
  has(upstream: string): boolean {
    return this.#byUpstream.has(upstream);
  }
}
