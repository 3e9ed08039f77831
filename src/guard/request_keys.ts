/**
 * What a request's head says about its sender, read in a hurry: no check, no decoding, nothing built that is not used.
 *
 * What is found here only chooses a bucket. Whether it is true is checked later, where requests are authenticated; an
 * envelope that states its key in its own header has none here.
 */
import type { ZonePart } from "../config/guard_kind.ts";
import type { DataCategory } from "../protocol/data_category.ts";
import { organizationOfHost } from "../protocol/ingest_host.ts";

/** The head of a request. */
export interface RequestHead {
  readonly path: string;
  readonly query: string;
  /** Value of a header; `name` in lower case. */
  header(name: string): string | null;
}

const KEY_CHARACTERS = 32;
const KEY_FIELD = "sentry_key=";

/** Public key in query, headers or path; empty when there is none of the right length. */
export function projectKeyOf(request: RequestHead): string {
  return keyIn(request.query) || keyIn(request.header("x-sentry-auth")) ||
    keyInAuthorization(request.header("authorization")) || keyInPath(request.path);
}

/** `Basic base64(key:anything)`, of which the first 44 characters are enough. */
function keyInAuthorization(header: string | null): string {
  const encoded = header === null ? undefined : /^basic +([A-Za-z0-9+/]{44})/i.exec(header)?.[1];
  if (encoded === undefined) return keyIn(header);
  const pair = atob(encoded);
  return pair[KEY_CHARACTERS] === ":" ? pair.slice(0, KEY_CHARACTERS) : "";
}

function keyIn(text: string | null): string {
  if (text === null) return "";
  const at = text.indexOf(KEY_FIELD);
  if (at < 0) return "";
  const key = text.slice(at + KEY_FIELD.length, at + KEY_FIELD.length + KEY_CHARACTERS);
  return key.length === KEY_CHARACTERS ? key : "";
}

/** `/api/1/unreal/<key>/`, `/api/1/cron/<slug>/<key>/` */
function keyInPath(path: string): string {
  if (!path.includes("/unreal/") && !path.includes("/cron/")) return "";
  const end = path.endsWith("/") ? path.length - 1 : path.length;
  const key = path.slice(path.lastIndexOf("/", end - 1) + 1, end);
  return key.length === KEY_CHARACTERS ? key : "";
}

/** Project of `/api/<project>/...`, without leading zeros; empty when there is none. */
export function projectIdOf({ path }: RequestHead): string {
  if (!path.startsWith("/api/")) return "";
  let from = 5;
  while (path.charCodeAt(from) === ZERO) from++;
  let to = from;
  while (isDigit(path.charCodeAt(to))) to++;
  return to > from && to - from <= 20 && path.charCodeAt(to) === SLASH ? path.slice(from, to) : "";
}

const ZERO = 0x30;
const SLASH = 0x2f;

function isDigit(code: number): boolean {
  return code >= ZERO && code <= ZERO + 9;
}

/** What a request is about, as far as its path says. */
export function categoryOfPath(path: string): DataCategory {
  for (const [part, category] of CATEGORY_OF_PATH) if (path.includes(part)) return category;
  return "default";
}

const CATEGORY_OF_PATH: readonly (readonly [string, DataCategory])[] = [
  ["/store/", "error"],
  ["/minidump", "error"],
  ["/unreal/", "error"],
  ["/security/", "security"],
  ["/csp-report/", "security"],
  ["/cron/", "monitor"],
];

/** Organization of a host such as `o42.ingest.example.com`; empty when there is none. */
export function organizationOf(request: RequestHead): string {
  return organizationOfHost(request.header("host") ?? "") ?? "";
}

/** What a zone counts a request under; empty when a part of it is missing, which means not at all. */
export function zoneKey(parts: readonly ZonePart[], request: RequestHead, address: string): string {
  let key = "";
  for (const part of parts) {
    const value = partOf(part, request, address);
    if (value === "") return "";
    key = key === "" ? value : `${key} ${value}`;
  }
  return key;
}

function partOf(part: ZonePart, request: RequestHead, address: string): string {
  switch (part) {
    case "address":
      return address;
    case "project_key":
      return projectKeyOf(request);
    case "project_id":
      return projectIdOf(request);
    case "organization":
      return organizationOf(request);
  }
}
