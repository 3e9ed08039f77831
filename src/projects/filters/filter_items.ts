/**
 * What inbound filters take out of an envelope: events with what depends on them, replays as a whole, sessions, and of
 * spans, logs and metrics those that a filter matches, one by one.
 *
 * Nothing is parsed that no filter reads. What cannot be read (because it is no JSON, or too large, or its envelope too
 * large to be held) is asked for what the request says, and passes otherwise.
 */
import { elementExtents, keepElements } from "../../protocol/item_container.ts";
import type { EnvelopeItem } from "../../protocol/envelope.ts";
import { itemQuantities, type Quantity } from "../../protocol/item_type.ts";
import { parseSamplingContext } from "../../protocol/sampling_context.ts";
import type { JsonRecord } from "../condition_field.ts";
import { itemPayload, readPayload } from "../item_payload.ts";
import { type ItemCut, type ItemVerdict, pass, type PolicedEnvelope, takeOut } from "../item_verdict.ts";
import type { FilteredKind, FilterSubject } from "./filter.ts";
import { filteredPart } from "./filtered_part.ts";
import type { InboundFilters } from "./inbound_filters.ts";

/** Items that go together when a replay is filtered. */
const REPLAY: ReadonlySet<string> = new Set(["replay_event", "replay_recording", "replay_video"]);
/** Items of parts, each of which is asked for itself. */
const PARTS: ReadonlySet<string> = new Set<FilteredKind>(["span", "log", "trace_metric"]);
/** Longest container that is read, and most parts it may have: SDKs gather up to a thousand, and each costs some 10 µs. */
const CONTAINER_BYTES_MAX = 1024 * 1024;
const CONTAINER_PARTS_MAX = 2000;

/** Asks the filters of a project about all items of an envelope. */
export function filterItems(policed: PolicedEnvelope, filters: InboundFilters): ItemVerdict {
  const { items } = policed;
  return filters.isEmpty || items.length === 0 ? pass(items) : new ItemFilter(policed, filters).verdict();
}

/** Filters over one envelope. */
class ItemFilter {
  constructor(private readonly policed: PolicedEnvelope, private readonly filters: InboundFilters) {}

  verdict(): ItemVerdict {
    const { items } = this.policed;
    const event = items.find(({ type }) => type.createsEvent);
    const ofEvent = event ? this.#ofEvent(event) : null;
    const replay = items.find(({ type }) => type.type === "replay_event");
    const ofReplay = replay ? this.#ofEvent(replay) : null;
    return takeOut(items, "filtered", (item) => {
      if (ofEvent !== null && item.type.requiresEvent) return ofEvent;
      if (REPLAY.has(item.type.type)) return ofReplay;
      if (item.type.limitGroup === "session") return this.#ofPart("session", this.#read("session", item));
      return PARTS.has(item.type.type) ? this.#ofParts(item.type.type as FilteredKind, item) : null;
    });
  }

  #ofEvent(item: EnvelopeItem): string | null {
    const { headers } = this.policed.envelope;
    // Filters that are asked without the event do not look at its trace, either.
    const trace = this.filters.reads("event") ? parseSamplingContext(headers.trace) : null;
    return this.#match({ kind: "event", event: this.#read("event", item), trace, part: null });
  }

  #ofPart(kind: FilteredKind, record: JsonRecord | null): string | null {
    const part = record && filteredPart(kind, record);
    return this.#match({ kind, event: null, trace: null, part });
  }

  /** Of an item with many parts those that no filter matches are left. */
  #ofParts(kind: FilteredKind, item: EnvelopeItem): string | ItemCut | null {
    const isLong = item.payloadEnd - item.payloadStart > CONTAINER_BYTES_MAX ||
      (item.headers.item_count ?? 0) > CONTAINER_PARTS_MAX;
    const record = isLong ? null : this.#read(kind, item);
    const parts = record?.items;
    if (!Array.isArray(parts)) return this.#ofPart(kind, record);
    // The upstream refuses a container that does not hold what it says.
    if (parts.length !== item.headers.item_count || parts.length === 0) return this.#ofPart(kind, null);
    const reasons = parts.map((part) => this.#ofPart(kind, part));
    return reasons.every((reason) => reason === null) ? null : this.#cut(item, reasons);
  }

  #cut(item: EnvelopeItem, reasons: readonly (string | null)[]): string | ItemCut | null {
    const [only] = reasons;
    if (only !== null && reasons.every((reason) => reason === only)) return only!;
    const payload = itemPayload(this.policed.envelope, item)!;
    const extents = elementExtents(payload);
    if (extents.length !== reasons.length) return null;
    const elements = reasons.flatMap((reason, index) => reason === null ? [index] : []);
    const { bytes } = this.policed.envelope;
    const kept = elements.length === 0 ? null : keepElements(bytes, item, elements, extents);
    const sums = new Map<string, { count: number; bytes: number }>();
    // What frames the parts goes with the first of them if none is left.
    let frame = kept ? 0 : payload.length - extents.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    for (const [index, reason] of reasons.entries()) {
      if (reason === null) continue;
      const { from, to } = extents[index]!;
      const { count, bytes } = sums.get(reason) ?? { count: 0, bytes: frame };
      // A comma goes with each.
      sums.set(reason, { count: count + 1, bytes: bytes + to - from + 1 });
      frame = 0;
    }
    const dropped = [...sums].map(([reason, { count, bytes }]) =>
      [reason, quantitiesOf(item, count, bytes)] as const
    );
    return { kept, dropped };
  }

  #read(kind: FilteredKind, item: EnvelopeItem): JsonRecord | null {
    return this.filters.reads(kind) ? readPayload(this.policed.envelope, item) : null;
  }

  #match(subject: Omit<FilterSubject, "clientAddress" | "userAgent">): string | null {
    const { remoteAddr, userAgent } = this.policed;
    return this.filters.match({ ...subject, clientAddress: remoteAddr, userAgent });
  }
}

/** What so many parts of an item count for. */
function quantitiesOf(item: EnvelopeItem, count: number, bytes: number): readonly Quantity[] {
  const headers = { ...item.headers, item_count: count };
  return itemQuantities({ type: item.type, headers, payloadStart: 0, payloadEnd: bytes });
}
