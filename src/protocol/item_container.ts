/**
 * Containers: items that hold many logs, spans or metrics, `{"items":[...]}` (ingestion reference, section 3.3).
 *
 * To take some out, the bytes of the others stay as they came: written anew from parsed JSON, large numbers would change.
 */
import { concatBytes, utf8 } from "../core/bytes.ts";
import type { EnvelopeItem } from "./parse_envelope.ts";

/** What is left of a container. */
export interface ContainerRest {
  /** The item it was. */
  readonly of: EnvelopeItem;
  /** Which of its elements are left, by index. */
  readonly elements: readonly number[];
  readonly payload: Uint8Array;
}

/** Where an element stands in its payload, without the commas around it. */
export interface ElementExtent {
  readonly from: number;
  readonly to: number;
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];
const ITEMS = utf8('"items"');
const COMMA_BYTES = new Uint8Array([COMMA]);

/**
 * Where the elements of a container stand, in a payload that is known to be a JSON object.
 *
 * Empty when it holds no list `items`, or more than one, which no two parsers read alike.
 */
export function elementExtents(payload: Uint8Array): readonly ElementExtent[] {
  const extents: ElementExtent[] = [];
  let depth = 0;
  let lists = 0;
  let isInList = false;
  let isItems = false;
  let from = 0;
  for (let at = 0; at < payload.length; at++) {
    const byte = payload[at];
    if (byte === QUOTE) {
      const start = at;
      for (at++; at < payload.length && payload[at] !== QUOTE; at++) if (payload[at] === BACKSLASH) at++;
      if (depth === 1) isItems = isItemsKey(payload, start, at + 1);
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++depth !== 2 || !isItems || byte !== OPEN_BRACKET) continue;
      if (++lists > 1) return [];
      isInList = true;
      from = at + 1;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (--depth !== 1) continue;
      isItems = false;
      if (!isInList) continue;
      extents.push({ from, to: at });
      isInList = false;
    } else if (byte === COMMA && depth === 1) isItems = false;
    else if (byte === COMMA && isInList && depth === 2) {
      extents.push({ from, to: at });
      from = at + 1;
    }
  }
  return extents;
}

function isItemsKey(payload: Uint8Array, from: number, to: number): boolean {
  return to - from === ITEMS.length && ITEMS.every((byte, index) => payload[from + index] === byte);
}

/** The item with these elements of it alone, `bytes` being those of its envelope. */
export function keepElements(
  bytes: Uint8Array,
  item: EnvelopeItem,
  elements: readonly number[],
  extents: readonly ElementExtent[] = elementExtents(bytes.subarray(item.payloadStart, item.payloadEnd)),
): EnvelopeItem {
  const whole = bytes.subarray(item.payloadStart, item.payloadEnd);
  const pieces = [whole.subarray(0, extents[0]!.from)];
  for (const [at, index] of elements.entries()) {
    if (at > 0) pieces.push(COMMA_BYTES);
    const { from, to } = extents[index]!;
    pieces.push(whole.subarray(from, to));
  }
  pieces.push(whole.subarray(extents.at(-1)!.to));
  const payload = concatBytes(pieces);
  return {
    ...item,
    headers: { ...item.headers, item_count: elements.length, length: payload.length },
    payloadEnd: item.payloadStart + payload.length,
    rest: { of: item, elements, payload },
  };
}

/** Whether items are those of an envelope, all of them and nothing taken out of any. */
export function areWhole(items: readonly EnvelopeItem[], all: readonly EnvelopeItem[]): boolean {
  return items === all || items.length === all.length && items.every((item, index) => item === all[index]);
}
