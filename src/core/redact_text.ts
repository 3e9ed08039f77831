/** Secrets and addresses in text that is shown to people. */
import { parseIp } from "./cidr.ts";

/** Stands where a secret was. */
export const REDACTED = "[redacted]";

/** Shorter ones are found in words that are none; whoever sets one has no secret. */
const SECRET_CHARS_MIN = 4;

/** What looks like a secret wherever it stands, and what is left of it. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  // The user part of a URL, which is the key of a DSN, too.
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi, `$1${REDACTED}@`],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{4,}/gi, `$1 ${REDACTED}`],
  [/\b(sentry_key|sentry_secret|password|passwd|secret|token|api_?key)=[^\s&,;"']+/gi, `$1=${REDACTED}`],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, REDACTED],
];

/** Text without the user part of any URL in it. */
export function redactUrls(text: string): string {
  return text.replace(...PATTERNS[0]!);
}

/** Takes secrets out of text: those it knows, and whatever looks like one. */
export class TextRedactor {
  readonly #known: RegExp | null;

  /** @param secrets values that must not show, e.g. those of a configuration */
  constructor(secrets: readonly string[] = []) {
    const long = [...new Set(secrets)].filter((secret) => secret.length >= SECRET_CHARS_MIN);
    // The longest first: one may begin with another one.
    const sorted = long.sort((a, b) => b.length - a.length);
    this.#known = sorted.length === 0 ? null : new RegExp(sorted.map(escaped).join("|"), "g");
  }

  /** The text without them. */
  redact(text: string): string {
    const known = this.#known ? text.replace(this.#known, REDACTED) : text;
    return PATTERNS.reduce((rest, [pattern, left]) => rest.replace(pattern, left), known);
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}

const ADDRESS =
  /(?<![\w:.])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:(?:\.\d{1,3}){3})?)(?!\w|\.\w)/gi;
const LOOPBACK = /^(127\.|::1$|0\.0\.0\.0$|::$)/;

/** An address of which only the network is left: /24 of IPv4, /48 of IPv6. What is no address stays. */
export function maskAddress(address: string): string {
  if (!address.includes(":")) return `${address.slice(0, address.lastIndexOf(".") + 1)}0`;
  const bytes = parseIp(address);
  if (bytes === null) return address;
  if (bytes.length === 4) return `${bytes.subarray(0, 3).join(".")}.0`;
  const groups = [0, 2, 4].map((at) => (bytes[at]! << 8 | bytes[at + 1]!).toString(16));
  return `${groups.join(":")}::`;
}

/** Text in which every address but those of the machine itself is masked. */
export function maskAddresses(text: string): string {
  return text.replace(ADDRESS, (found) => {
    // A port or a full stop may follow an address.
    if (LOOPBACK.test(found) || parseIp(found) === null) return found;
    return maskAddress(found);
  });
}
