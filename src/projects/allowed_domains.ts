/**
 * Origin validation against a project's `allowedDomains`.
 *
 * Source: ingestion reference, section 5.4. No origin is always accepted; an empty list refuses every origin.
 */
interface OriginPattern {
  readonly scheme: string | null;
  readonly domain: string | null;
  readonly port: string | null;
}

/** Whether a request with this origin (a normalised URL, or `null`) may submit. */
export function isOriginAllowed(origin: string | null, allowedDomains: readonly string[]): boolean {
  if (origin === null) return true;
  if (allowedDomains.some((pattern) => pattern === "*" || pattern === "*:*" || pattern === "*://*")) {
    return true;
  }
  const parts = splitOrigin(origin.toLowerCase());
  return allowedDomains.some((pattern) => matches(splitOrigin(pattern.toLowerCase()), parts));
}

/** Splits `[scheme://]domain[:port][/ignored]`; `*` and absent parts become `null`. */
function splitOrigin(text: string): OriginPattern {
  const schemeEnd = text.indexOf("://");
  const scheme = schemeEnd < 0 ? null : text.slice(0, schemeEnd);
  const rest = (schemeEnd < 0 ? text : text.slice(schemeEnd + 3)).split("/", 1)[0]!;
  const bracket = rest.lastIndexOf("]");
  const colon = rest.indexOf(":", Math.max(bracket, 0));
  const domain = colon < 0 ? rest : rest.slice(0, colon);
  const port = colon < 0 ? null : rest.slice(colon + 1);
  return { scheme: wild(scheme), domain: wild(domain), port: wild(port) };
}

const wild = (part: string | null): string | null => part === "*" || part === "" ? null : part;

function matches(pattern: OriginPattern, origin: OriginPattern): boolean {
  if (pattern.scheme !== null && pattern.scheme !== origin.scheme) return false;
  if (pattern.port !== null && pattern.port !== origin.port) return false;
  if (pattern.domain === null || pattern.domain === origin.domain) return true;
  if (origin.domain === null || !pattern.domain.startsWith("*.")) return false;
  return origin.domain === pattern.domain.slice(2) || origin.domain.endsWith(pattern.domain.slice(1));
}
