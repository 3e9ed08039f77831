import { DATA_CATEGORIES, type DataCategory } from "../protocol/data_category.ts";
import type { Quantity } from "../protocol/item_type.ts";
import { encodeRequestMeta, type RequestMeta } from "../protocol/request_meta.ts";
import type { SpoolRecord } from "../spool/record.ts";

/** What a record is made of. */
export interface RecordParts extends Pick<SpoolRecord, "body" | "receivedAtMs"> {
  readonly meta: RequestMeta;
  readonly isLarge: boolean;
}

/** The record of a request, as the spool takes it. */
export function spoolRecord({ meta, body, receivedAtMs, isLarge }: RecordParts): SpoolRecord {
  return {
    receivedAtMs,
    projectHash: hashOf(meta.key),
    categoryBits: categoryBits(meta.quantities),
    meta: encodeRequestMeta(meta),
    body,
    isLarge,
  };
}

/** FNV-1a of the public key: which project a record belongs to, without reading its meta. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

const categoryNumber: ReadonlyMap<DataCategory, number> = new Map(
  DATA_CATEGORIES.map((name, index) => [name, index]),
);

function categoryBits(quantities: readonly Quantity[]): readonly [number, number] {
  let low = 0;
  let high = 0;
  for (const [category] of quantities) {
    const number = categoryNumber.get(category)!;
    if (number < 32) low |= 1 << number;
    else high |= 1 << (number - 32);
  }
  return [low >>> 0, high >>> 0];
}
