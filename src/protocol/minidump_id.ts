/**
 * The event id that a crash report brings along.
 *
 * Precedence: the `event_id` of the `__sentry-event` file (MessagePack), of the form field `sentry` (JSON), the form
 * field `sentry[event_id]`. An event file that cannot be read refuses the report, form fields that cannot be read count
 * as absent, and fields chopped into `sentry__1` and so on are not searched. Source: ingestion reference, section 1.3.
 */
import { fromUtf8 } from "../core/bytes.ts";
import { parseEventId } from "./event_id.ts";
import type { FormField } from "./form_data.ts";
import { RequestError } from "./request_error.ts";

/**
 * Finds the id; 32 lower-case hex digits, or `null` when the report brings none.
 *
 * @param eventPayload content of the `__sentry-event` file, if there is one
 * @throws {RequestError} 400 when `eventPayload` is no MessagePack map, or its id no UUID
 */
export function minidumpEventId(
  eventPayload: Uint8Array | null,
  fields: readonly FormField[],
): string | null {
  const ofPayload = eventPayload === null ? null : payloadId(eventPayload);
  if (ofPayload !== null) return ofPayload;
  const text = (name: string): string | null => fields.find(([key]) => key === name)?.[1] ?? null;
  return jsonId(text("sentry") ?? "") ?? parseEventId(text("sentry[event_id]") ?? "");
}

function jsonId(json: string): string | null {
  try {
    const value = JSON.parse(json) as { event_id?: unknown } | null;
    return typeof value?.event_id === "string" ? parseEventId(value.event_id) : null;
  } catch {
    return null;
  }
}

function payloadId(bytes: Uint8Array): string | null {
  const value = new MessagePackReader(bytes).entryOfMap("event_id");
  if (value === null) return null;
  const id = parseEventId(value);
  if (id === null) throw invalidMessagePack("invalid event identifier");
  return id;
}

function invalidMessagePack(cause: string): RequestError {
  return RequestError.json(400, "invalid_msgpack", "invalid messagepack data", [cause]);
}

const NIL = 0xc0;

/** Just enough of MessagePack to find one text in a map. */
class MessagePackReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The text under a key of the map that the bytes are; `null` when it is absent or nil. */
  entryOfMap(key: string): string | null {
    let found: string | null = null;
    for (let left = this.#mapLength(); left > 0; left--) {
      if (this.#textOrNull() !== key) this.#skip(1);
      else if (this.#bytes[this.#at] === NIL) this.#at++;
      else if ((found = this.#textOrNull()) === null) throw invalidMessagePack(`${key} is no string`);
    }
    return found;
  }

  #mapLength(): number {
    const tag = this.#uint(1);
    if (tag >> 4 === 0x8) return tag & 0x0f;
    if (tag === 0xde) return this.#uint(2);
    if (tag === 0xdf) return this.#uint(4);
    throw invalidMessagePack("not a map");
  }

  /** Reads one value; `null` when it is something other than text. */
  #textOrNull(): string | null {
    const tag = this.#bytes[this.#at] ?? NIL;
    const isFixed = tag >> 5 === 0b101;
    if (!isFixed && (tag < 0xd9 || tag > 0xdb)) {
      this.#skip(1);
      return null;
    }
    this.#at++;
    return fromUtf8(this.#take(isFixed ? tag & 0x1f : this.#uint(1 << (tag - 0xd9))));
  }

  /** Skips `count` values; nesting is counted, not followed, so that its depth does not matter. */
  #skip(count: number): void {
    for (let left = count; left > 0; left--) left += this.#skipOne();
  }

  /** Skips one value without what it contains; returns how many values that is. */
  #skipOne(): number {
    const tag = this.#uint(1);
    if (tag < 0x80 || tag >= 0xe0 || tag === NIL || tag === 0xc2 || tag === 0xc3) return 0;
    if (tag < 0x90) return 2 * (tag & 0x0f);
    if (tag < 0xa0) return tag & 0x0f;
    if (tag < 0xc0) return this.#take(tag & 0x1f), 0;
    if (tag === 0xc1) throw invalidMessagePack("reserved marker");
    if (tag <= 0xc6) return this.#take(this.#uint(1 << (tag - 0xc4))), 0;
    if (tag <= 0xc9) return this.#take(this.#uint(1 << (tag - 0xc7)) + 1), 0;
    if (tag <= 0xcb) return this.#take(tag === 0xca ? 4 : 8), 0;
    if (tag <= 0xd3) return this.#take(1 << ((tag - 0xcc) & 3)), 0;
    if (tag <= 0xd8) return this.#take((1 << (tag - 0xd4)) + 1), 0;
    if (tag <= 0xdb) return this.#take(this.#uint(1 << (tag - 0xd9))), 0;
    if (tag <= 0xdd) return this.#uint(tag === 0xdc ? 2 : 4);
    return 2 * this.#uint(tag === 0xde ? 2 : 4);
  }

  #uint(size: number): number {
    this.#take(size);
    const at = this.#at - size;
    return size === 1
      ? this.#view.getUint8(at)
      : size === 2
      ? this.#view.getUint16(at)
      : this.#view.getUint32(at);
  }

  #take(size: number): Uint8Array {
    if (this.#at + size > this.#bytes.length) throw invalidMessagePack("cut short");
    return this.#bytes.subarray(this.#at, this.#at += size);
  }
}
