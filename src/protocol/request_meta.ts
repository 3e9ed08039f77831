/**
 * What is stored with each record beside its body: everything of the request that is needed to forward it later.
 *
 * Kept as compact JSON with short keys, absent values left out, so that a record stays small and a later version can
 * add keys without a migration.
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";
import { type DataCategory, dataCategory } from "./data_category.ts";

/** Content-Encoding of a stored body; empty for none. */
export type BodyEncoding = "" | "gzip" | "deflate" | "br" | "zstd";

/** Everything of a request that has to survive until it is forwarded (ingestion reference, sections 6.1 and 6.2). */
export interface RequestMeta {
  /** Canonical decimal project id; empty when the request named none and no project state said it. */
  readonly projectId: string;
  /** Public key, 32 characters. */
  readonly key: string;
  /** Protocol version the client speaks. */
  readonly version: number;
  /** `sentry_client` of the request. */
  readonly client: string | null;
  /** Normalised URL of the page or application the request came from. */
  readonly origin: string | null;
  /** Address of the TCP peer. */
  readonly remoteAddr: string;
  /** Chain of addresses, nearest last, ready to be sent as `X-Forwarded-For`. */
  readonly forwardedFor: string;
  readonly userAgent: string | null;
  readonly clientHints: ClientHints | null;
  /** The key carried the `no-cache` flag. */
  readonly noCache: boolean;
  /** Encoding of the stored body. */
  readonly contentEncoding: BodyEncoding;
  /** 32 lower-case hex digits; `null` when the envelope has no event. */
  readonly eventId: string | null;
  /** What the record counts for, to account for it if it is lost. */
  readonly quantities: readonly (readonly [DataCategory, number])[];
  /** Where a body goes that is no envelope; `null` for envelopes. */
  readonly passthrough: Passthrough | null;
  /** Its project was known when it came: its sender was checked and the project's rules applied, and are not again. */
  readonly isPoliced?: true;
  /** Public key of the other project whose sampling rules decide on it, while they have not been asked. */
  readonly rootKey?: string;
  /** Relay signature it came with, while it has not been asked for. */
  readonly relaySignature?: string;
}

/** A body that goes to the upstream's own route, as it came. */
export interface Passthrough {
  /** Path and query. */
  readonly path: string;
  readonly contentType: string | null;
}

/** Headers with which browsers describe themselves where the user agent does not. */
export const CLIENT_HINTS = [
  "sec-ch-ua",
  "sec-ch-ua-model",
  "sec-ch-ua-platform",
  "sec-ch-ua-platform-version",
] as const;

/** Name and value of those of {@link CLIENT_HINTS} that were sent. */
export type ClientHints = readonly (readonly [name: string, value: string])[];

/** Wire form of {@link RequestMeta}; `undefined` is left out by `JSON.stringify`. */
interface ShortMeta {
  p: string;
  k: string;
  v?: number | undefined;
  c?: string | undefined;
  o?: string | undefined;
  a: string;
  f: string;
  u?: string | undefined;
  h?: ClientHints | undefined;
  n?: 1 | undefined;
  e?: BodyEncoding | undefined;
  i?: string | undefined;
  q: readonly (readonly [string, number])[];
  t?: readonly [path: string, contentType: string | null] | undefined;
  d?: 1 | undefined;
  r?: string | undefined;
  s?: string | undefined;
}

const VERSION_DEFAULT = 7;

/** The bytes kept in the spool. */
export function encodeRequestMeta(meta: RequestMeta): Uint8Array {
  const short: ShortMeta = {
    p: meta.projectId,
    k: meta.key,
    v: meta.version === VERSION_DEFAULT ? undefined : meta.version,
    c: meta.client ?? undefined,
    o: meta.origin ?? undefined,
    a: meta.remoteAddr,
    f: meta.forwardedFor,
    u: meta.userAgent ?? undefined,
    h: meta.clientHints ?? undefined,
    n: meta.noCache ? 1 : undefined,
    e: meta.contentEncoding === "" ? undefined : meta.contentEncoding,
    i: meta.eventId ?? undefined,
    q: meta.quantities,
    t: meta.passthrough === null ? undefined : [meta.passthrough.path, meta.passthrough.contentType],
    d: meta.isPoliced ? 1 : undefined,
    r: meta.isPoliced ? undefined : meta.rootKey,
    s: meta.isPoliced ? undefined : meta.relaySignature,
  };
  return utf8(JSON.stringify(short));
}

/**
 * Reads what {@link encodeRequestMeta} wrote.
 *
 * @throws {SyntaxError} when the bytes are something else; a record's checksum normally rules that out
 */
export function decodeRequestMeta(bytes: Uint8Array): RequestMeta {
  const short = JSON.parse(fromUtf8(bytes)) as ShortMeta | null;
  if (typeof short?.p !== "string" || typeof short.k !== "string" || !Array.isArray(short.q)) {
    throw new SyntaxError("not the meta of a stored request");
  }
  return {
    projectId: short.p,
    key: short.k,
    version: short.v ?? VERSION_DEFAULT,
    client: short.c ?? null,
    origin: short.o ?? null,
    remoteAddr: short.a,
    forwardedFor: short.f,
    userAgent: short.u ?? null,
    clientHints: short.h ?? null,
    noCache: short.n === 1,
    contentEncoding: short.e ?? "",
    eventId: short.i ?? null,
    quantities: short.q.map(([name, quantity]) => [dataCategory(name), quantity] as const),
    passthrough: short.t === undefined ? null : { path: short.t[0], contentType: short.t[1] },
    ...short.d === 1 ? { isPoliced: true } : {},
    ...short.r === undefined ? {} : { rootKey: short.r },
    ...short.s === undefined ? {} : { relaySignature: short.s },
  };
}

/**
 * The `X-Sentry-Auth` header for the upstream (ingestion reference, section 6.2).
 *
 * A client's name can come percent-decoded out of a query, so what cannot stand in a header becomes `?`.
 */
export function xSentryAuth(meta: Pick<RequestMeta, "key" | "version" | "client">): string {
  const auth = `Sentry sentry_key=${meta.key}, sentry_version=${meta.version}`;
  return meta.client ? `${auth}, sentry_client=${meta.client.replace(/[^ -~]/g, "?")}` : auth;
}
