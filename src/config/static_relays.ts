import { hyphenated } from "../protocol/event_id.ts";
import { KeyError, PublicKey } from "../protocol/signature.ts";
import { BOOLEAN, mapping, TEXT } from "./json_schema.ts";
import { flag, uuid, type ValueKind } from "./value_kind.ts";

/** A relay downstream that the configuration names. */
export interface StaticRelay {
  /** UUID, lower case, with dashes. */
  readonly id: string;
  readonly publicKey: string;
  /** Whether it may have everything. */
  readonly internal: boolean;
}

/** `auth.static_relays`: a map from ids to `{public_key, internal}` (control reference, section 2). */
export const staticRelays: ValueKind<readonly StaticRelay[]> = {
  form: "map",
  rule: "must be a map from relay ids to {public_key: <base64url>, internal: true or false}",
  json: {
    type: "object",
    additionalProperties: mapping({ public_key: TEXT, internal: BOOLEAN }, ["public_key"]),
  },
  read(raw) {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return undefined;
    const relays = Object.entries(raw).map(([id, entry]) => staticRelay(id, entry));
    return relays.every((relay) => relay !== undefined) ? relays : undefined;
  },
};

function staticRelay(rawId: string, entry: unknown): StaticRelay | undefined {
  const id = uuid.read(rawId);
  if (id === undefined || typeof entry !== "object" || entry === null) return undefined;
  const { public_key: publicKey, internal = false, ...unknown } = entry as Record<string, unknown>;
  const isInternal = flag.read(internal);
  const isKey = typeof publicKey === "string" && isPublicKey(publicKey);
  if (!isKey || isInternal === undefined || Object.keys(unknown).length > 0) return undefined;
  return { id: hyphenated(id.replaceAll("-", "")), publicKey, internal: isInternal };
}

function isPublicKey(text: string): boolean {
  try {
    return PublicKey.parse(text) !== null;
  } catch (error) {
    if (error instanceof KeyError) return false;
    throw error;
  }
}
