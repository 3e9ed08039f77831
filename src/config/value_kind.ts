/**
 * The kinds of value a configuration key can have: how each is read, and the rule to quote when it is not.
 *
 * Text is accepted wherever a number or a boolean is meant, because environment variables, flags and quoted `${NAME}`
 * can only be text.
 */
import { parseByteSize } from "../core/byte_size.ts";
import { CidrSet, parseIp } from "../core/cidr.ts";
import { parseDurationMs } from "../core/duration.ts";
import { canonicalProjectId } from "../protocol/project_key.ts";
import { BOOLEAN, type JsonSchema, mapping, NUMBER, oneOf, TEXT, TEXTS } from "./json_schema.ts";

/** How values of a key are read. */
export interface ValueKind<T> {
  /** Name of the kind in the documentation, e.g. `size`. */
  readonly form: string;
  /** What a value must be, e.g. `must be a port from 0 to 65535`. */
  readonly rule: string;
  /** The valid values when there are few, for "did you mean". */
  readonly choices?: readonly string[];
  /** What editors may know of valid values; default: that they are text. Never refuses what `read` takes. */
  readonly json?: JsonSchema;
  /** The value, or undefined when `raw` breaks the rule. */
  read(raw: unknown): T | undefined;
}

/** Longest time a timer can wait; longer ones would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What editors know of the values of a kind. */
export function jsonOf({ json = TEXT }: ValueKind<unknown>): JsonSchema {
  return json;
}

/** One of a few words; case is ignored. */
export function choice<const T extends string>(...choices: readonly T[]): ValueKind<T> {
  return {
    form: choices.map((name) => `\`${name}\``).join(", "),
    rule: `must be one of ${choices.join(", ")}`,
    choices,
    json: oneOf(choices),
    read: (raw) => typeof raw === "string" ? choices.find((name) => name === raw.toLowerCase()) : undefined,
  };
}

/** `true` or `false`. */
export const flag: ValueKind<boolean> = {
  form: "`true`, `false`",
  rule: "must be true or false",
  json: BOOLEAN,
  read: (raw) => raw === true || raw === "true" ? true : raw === false || raw === "false" ? false : undefined,
};

/** Text that is not empty. */
export const text: ValueKind<string> = {
  form: "text",
  rule: "must be text that is not empty",
  read: (raw) => typeof raw === "string" && raw !== "" ? raw : undefined,
};

/** Whole numbers. */
export function count(min = 0, max = Number.MAX_SAFE_INTEGER): ValueKind<number> {
  const rule = max === Number.MAX_SAFE_INTEGER
    ? `must be a whole number of at least ${min}`
    : `must be a whole number from ${min} to ${max}`;
  return {
    form: "number",
    rule,
    json: { type: ["integer", "string"], minimum: min, maximum: max },
    read(raw) {
      const value = numberOf(raw);
      return value !== undefined && Number.isInteger(value) && value >= min && value <= max
        ? value
        : undefined;
    },
  };
}

/** TCP port; 0 stands for any free one. */
export const port: ValueKind<number> = {
  ...count(0, 65535),
  form: "port",
  rule: "must be a port from 0 to 65535",
};

/** A number from 0 to 1. */
export const ratio: ValueKind<number> = {
  form: "0 to 1",
  rule: "must be a number from 0 to 1",
  json: { ...NUMBER, minimum: 0, maximum: 1 },
  read(raw) {
    const value = numberOf(raw);
    return value !== undefined && value >= 0 && value <= 1 ? value : undefined;
  },
};

/** Sizes in bytes, at least `min`. */
export function byteSize(min = 0): ValueKind<number> {
  const least = min > 0 ? ` of at least ${min} bytes` : "";
  return {
    form: "size",
    rule: `must be a size${least}: bytes, or a number with B, kB, KiB, MB, MiB, GB or GiB`,
    json: { ...NUMBER, minimum: min },
    read(raw) {
      const bytes = attempt(() =>
        typeof raw === "string" || typeof raw === "number" ? parseByteSize(raw) : undefined
      );
      return bytes !== undefined && bytes >= min ? bytes : undefined;
    },
  };
}

/** A duration read into milliseconds; what a number without a unit counts is the key's. */
export function duration(o: { unit: "s" | "ms"; minMs?: number }): ValueKind<number> {
  const { unit, minMs = 0 } = o;
  const name = unit === "s" ? "seconds" : "milliseconds";
  const least = minMs > 0 ? " above 0" : "";
  return {
    form: unit === "s" ? "duration" : "milliseconds",
    rule: `must be a duration${least}: ${name}, or a number with ms, s, m, h or d`,
    json: { ...NUMBER, minimum: 0 },
    read(raw) {
      const plain = numberOf(raw);
      const ms = attempt(() =>
        plain !== undefined
          ? parseDurationMs(unit === "s" ? plain : `${plain}ms`)
          : typeof raw === "string"
          ? parseDurationMs(raw)
          : undefined
      );
      return ms !== undefined && ms >= minMs && ms <= TIMER_MS_MAX ? ms : undefined;
    },
  };
}

/** An IP address. */
export const address: ValueKind<string> = {
  form: "IP address",
  rule: "must be an IP address",
  read: (raw) => typeof raw === "string" && parseIp(raw) ? raw : undefined,
};

/** A list of networks in CIDR notation. */
export const networks: ValueKind<readonly string[]> = {
  form: "list of networks",
  rule: "must be a list of networks such as 10.0.0.0/8 or ::1",
  json: TEXTS,
  read(raw) {
    if (!Array.isArray(raw) || !raw.every((entry) => typeof entry === "string")) return undefined;
    return attempt(() => (CidrSet.parse(raw), raw));
  },
};

/** Names of hosts, in lower case; `*.` at the start stands for any subdomain. */
export const hosts: ValueKind<readonly string[]> = {
  form: "list of hosts",
  rule:
    "must be a list of host names such as sentry.example.com or *.ingest.sentry.io, without scheme and port",
  json: TEXTS,
  read: (raw) =>
    listOf(raw, (entry) => {
      const host = typeof entry === "string" ? entry.toLowerCase() : "";
      return HOST.test(host) || parseIp(host.replace(/^\[(.*)\]$/, "$1")) ? host : undefined;
    }),
};

const LABEL = "[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?";
const HOST = new RegExp(`^(?:\\*\\.)?${LABEL}(?:\\.${LABEL})*$`);

/** Pairs of paths. */
export const certificates: ValueKind<readonly { readonly cert: string; readonly key: string }[]> = {
  form: "list of certificates",
  rule: "must be a list of {cert: PATH, key: PATH}",
  json: { type: "array", items: mapping({ cert: TEXT, key: TEXT }, ["cert", "key"]) },
  read: (raw) =>
    listOf(raw, (entry) => {
      const { cert, key, ...rest } = (entry ?? {}) as Record<string, unknown>;
      const isPair = typeof cert === "string" && typeof key === "string" && Object.keys(rest).length === 0;
      return isPair ? { cert, key } : undefined;
    }),
};

/** Ids of projects, in canonical decimal. */
export const projectIds: ValueKind<readonly string[]> = {
  form: "list of project ids",
  rule: "must be a list of project ids, which are numbers",
  json: { type: "array", items: NUMBER },
  read: (raw) => listOf(raw, (entry) => canonicalProjectId(String(entry)) ?? undefined),
};

/** Path of a route of our own. */
export const path: ValueKind<string> = {
  form: "path",
  rule:
    "must be a path such as /tunnel, outside /api/, of letters, digits and - . _ ~ between single slashes",
  read: (raw) =>
    typeof raw === "string" && /^(?:\/[\w.~-]+)+\/?$/.test(raw) && !raw.startsWith("/api/") ? raw : undefined,
};

/** Normalised to `scheme://host[:port]/`. */
export const upstreamUrl: ValueKind<string> = {
  form: "URL",
  rule: "must be a URL of the form http(s)://host[:port]/, without a path",
  read(raw) {
    const url = typeof raw === "string" ? URL.parse(raw) : null;
    if (!url || !/^https?:$/.test(url.protocol) || url.hostname === "") return undefined;
    const bare = url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "" &&
      url.password === "";
    return bare ? `${url.protocol}//${url.host}/` : undefined;
  },
};

/** `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS. */
export const redisUrl: ValueKind<string> = {
  form: "URL",
  rule: "must be a URL of the form redis(s)://[user:password@]host[:port][/database]",
  read(raw) {
    const url = typeof raw === "string" ? URL.parse(raw) : null;
    const isBare = url && url.search === "" && url.hash === "" && /^(\/\d{0,4})?$/.test(url.pathname);
    return isBare && /^rediss?:$/.test(url.protocol) && url.hostname !== "" ? url.href : undefined;
  },
};

/** Where connections go: `host:port`, brackets around an IPv6 address. */
export const hostPort: ValueKind<{ readonly name: string; readonly port: number }> = {
  form: "host:port",
  rule: "must be a host and a port such as 10.0.0.1:443, sentry.internal:443 or [fd00::1]:443",
  read(raw) {
    const parts = typeof raw === "string" ? /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(raw) : null;
    if (!parts) return undefined;
    const [, v6, host] = parts;
    const name = (v6 ?? host!).toLowerCase();
    const isName = v6 === undefined ? HOST.test(name) && !name.startsWith("*") : name.includes(":");
    const port = Number(parts[3]);
    return (isName || parseIp(name)) && port > 0 && port <= 65535 ? { name, port } : undefined;
  },
};

/** Name of a service record. */
export const serviceName: ValueKind<string> = {
  form: "service name",
  rule: "must be the name of a service record such as _sentry._tcp.example.com",
  read: (raw) => typeof raw === "string" && HOST.test(raw.toLowerCase()) ? raw.toLowerCase() : undefined,
};

/** URL of an HTTP proxy, with the credentials it asks for. */
export const proxyUrl: ValueKind<string> = {
  form: "URL",
  rule: "must be the URL of a proxy of the form http://[user:password@]host[:port]",
  read(raw) {
    const url = typeof raw === "string" ? URL.parse(raw) : null;
    return url?.protocol === "http:" && url.hostname !== "" && /^\/?$/.test(url.pathname)
      ? url.href
      : undefined;
  },
};

/** Certificates or a key as text. */
export const pem: ValueKind<string> = {
  form: "PEM",
  rule: "must be PEM text, e.g. ${file:ca.pem}",
  read: (raw) => typeof raw === "string" && /-----BEGIN [A-Z ]+-----/.test(raw) ? raw : undefined,
};

/** A list of texts. */
export const texts: ValueKind<readonly string[]> = {
  form: "list of texts",
  rule: "must be a list of texts",
  json: TEXTS,
  read: (raw) => listOf(raw, (entry) => text.read(entry)),
};

/** Ids as text, given as numbers or texts. */
export const ids: ValueKind<readonly string[]> = {
  form: "list of ids",
  rule: "must be a list of ids",
  json: { type: "array", items: NUMBER },
  read: (raw) =>
    listOf(
      raw,
      (entry) => typeof entry === "number" || typeof entry === "string" ? String(entry) : undefined,
    ),
};

/** A share of what there is to share out. */
export const weight: ValueKind<number> = {
  form: "number",
  rule: "must be a number of at least 0",
  json: { ...NUMBER, minimum: 0 },
  read(raw) {
    const value = numberOf(raw);
    return value !== undefined && value >= 0 ? value : undefined;
  },
};

/** One name, or names and their shares. */
export const shares: ValueKind<Readonly<Record<string, number>>> = {
  form: "name, or map of names to weights",
  rule: "must be the name of an upstream, or a map from names to weights of which one is above 0",
  json: { type: ["string", "object"], additionalProperties: NUMBER },
  read(raw) {
    if (typeof raw === "string" && raw !== "") return { [raw]: 1 };
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return undefined;
    const entries = Object.entries(raw).map(([name, share]) => [name, weight.read(share)] as const);
    if (entries.some(([, share]) => share === undefined) || !entries.some(([, share]) => share! > 0)) {
      return undefined;
    }
    return Object.fromEntries(entries) as Record<string, number>;
  },
};

/** A UUID with dashes. */
export const uuid: ValueKind<string> = {
  form: "UUID",
  rule: "must be a UUID",
  read: (raw) =>
    typeof raw === "string" && /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i.test(raw)
      ? raw.toLowerCase()
      : undefined,
};

/** Base64url without padding, of one of these lengths. */
export function base64url(...lengths: readonly number[]): ValueKind<string> {
  return {
    form: "base64url",
    rule: `must be base64url without padding, ${lengths.join(" or ")} characters long`,
    read: (raw) =>
      typeof raw === "string" && /^[\w-]+$/.test(raw) && lengths.includes(raw.length) ? raw : undefined,
  };
}

/** Text to text. */
export const textMap: ValueKind<Readonly<Record<string, string>>> = {
  form: "map",
  rule: "must be a map from names to text",
  json: { type: "object", additionalProperties: TEXT },
  read(raw) {
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return undefined;
    return Object.values(raw).every((value) => typeof value === "string")
      ? raw as Record<string, string>
      : undefined;
  },
};

/** Whatever another system's configuration holds here; never looked at. */
export const anything: ValueKind<null> = { form: "any", rule: "may be anything", json: {}, read: () => null };

/** The kind, or null. */
export function nullable<T>(kind: ValueKind<T>): ValueKind<T | null> {
  return {
    ...kind,
    rule: `${kind.rule}, or null`,
    json: { anyOf: [jsonOf(kind), { type: "null" }] },
    read: (raw) => raw === null ? null : kind.read(raw),
  };
}

/** The kind, for keys whose `auto` is replaced by a value before validation (`derived_defaults.ts`). */
export function orAuto<T>(kind: ValueKind<T>): ValueKind<T> {
  const choices = kind.choices && ["auto", ...kind.choices];
  return {
    ...kind,
    form: `\`auto\` or ${kind.form}`,
    rule: `${kind.rule}, or auto`,
    json: { anyOf: [jsonOf(kind), { const: "auto" }] },
    ...choices && { choices },
  };
}

/** A word instead of a value, or the kind. */
export function orWord<const W extends string, T>(word: W, kind: ValueKind<T>): ValueKind<T | W> {
  return {
    form: `\`${word}\` or ${kind.form}`,
    rule: `${kind.rule}, or ${word}`,
    json: { anyOf: [jsonOf(kind), { const: word }] },
    read: (raw) => raw === word ? word : kind.read(raw),
  };
}

/** All entries of a list, or undefined when it is none or one of them is refused. */
function listOf<T>(raw: unknown, read: (entry: unknown) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(raw)) return undefined;
  const values = raw.map(read).filter((value) => value !== undefined);
  return values.length === raw.length ? values : undefined;
}

function numberOf(raw: unknown): number | undefined {
  if (typeof raw === "number") return raw;
  return typeof raw === "string" && /^-?\d+(\.\d+)?$/.test(raw) ? Number(raw) : undefined;
}

/** The parsers of `core` refuse by RangeError. */
function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
