/**
 * The control plane's side of taps: tells the halves what somebody wants to see, and hands on what they show.
 *
 * Limits: {@link TAPS_MAX} taps at once, each with an end (a number of events, a time). A reader that is too slow loses events,
 * which are counted and told at the end; nothing waits for it.
 */
import type { TapActions, TapRequest } from "../admin/tap_routes.ts";
import { shownTapEvent } from "../admin/tap_view.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { utf8 } from "../core/bytes.ts";
import type { TapFilter } from "../telemetry/tap_event.ts";
import type { TapMessage, TappedMessage } from "./lane_tap.ts";

const TAPS_MAX = 4;
/** Lines a reader may be behind. */
const LINES_MAX = 500;
/** How long halves have to say that they show. */
const ATTACH_MS = 1000;

interface OpenTap {
  readonly filter: TapFilter;
  readonly request: TapRequest;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly timers: Timer[];
  /** Halves that have not said yet that they show; null once it was told. */
  missing: number | null;
  shown: number;
  dropped: number;
}

/** The lanes as taps see them. */
export interface TappedLanes {
  readonly all: readonly unknown[];
  broadcast(message: TapMessage): void;
}

/** Taps of a node. */
export class TapControl implements TapActions {
  readonly #open = new Map<number, OpenTap>();
  #lastId = 0;

  constructor(private readonly clock: Clock, private readonly lanes: () => TappedLanes) {}

  /** What halves are told at their start. */
  get filters(): readonly TapFilter[] {
    return [...this.#open.values()].map(({ filter }) => filter);
  }

  tap(request: TapRequest): ReadableStream<Uint8Array> | null {
    if (this.#open.size >= TAPS_MAX) return null;
    const id = ++this.#lastId;
    return new ReadableStream<Uint8Array>({
      start: (controller) => this.#attach(id, request, controller),
      cancel: () => this.#detach(id),
    }, { highWaterMark: LINES_MAX });
  }

  /** A half showed something. */
  tapped({ id, events, dropped }: TappedMessage): void {
    const tap = this.#open.get(id);
    if (!tap) return;
    if (events.length === 0 && tap.missing !== null && --tap.missing === 0) this.#attached(tap);
    tap.dropped += dropped;
    for (const event of events) {
      if ((tap.controller.desiredSize ?? 0) <= 0) {
        tap.dropped++;
        continue;
      }
      this.#write(tap, shownTapEvent(event, tap.request.raw));
      if (++tap.shown >= tap.request.max) return this.#end(id);
    }
  }

  /** Ends all taps. */
  close(): void {
    for (const id of [...this.#open.keys()]) this.#end(id);
  }

  #attach(id: number, request: TapRequest, controller: OpenTap["controller"]): void {
    const { max: _, seconds, raw: _raw, ...wanted } = request;
    const tap: OpenTap = {
      filter: { id, ...wanted },
      request,
      controller,
      timers: [this.clock.after(seconds * 1000, () => this.#end(id))],
      missing: 2 * this.lanes().all.length,
      shown: 0,
      dropped: 0,
    };
    tap.timers.push(this.clock.after(ATTACH_MS, () => tap.missing !== null && this.#attached(tap)));
    this.#open.set(id, tap);
    this.lanes().broadcast({ type: "tap", filters: this.filters });
  }

  #attached(tap: OpenTap): void {
    tap.missing = null;
    this.#write(tap, { stage: "attached", lanes: this.lanes().all.length });
  }

  #end(id: number): void {
    const tap = this.#open.get(id);
    if (!tap) return;
    this.#detach(id);
    this.#write(tap, { stage: "end", shown: tap.shown, dropped: tap.dropped });
    tap.controller.close();
  }

  #detach(id: number): void {
    for (const timer of this.#open.get(id)?.timers ?? []) timer.cancel();
    if (this.#open.delete(id)) this.lanes().broadcast({ type: "tap", filters: this.filters });
  }

  #write({ controller }: OpenTap, line: object): void {
    controller.enqueue(utf8(`${JSON.stringify(line)}\n`));
  }
}
