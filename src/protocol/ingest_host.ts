/** Names of ingestion hosts: SaaS gives each organisation one of its own. */

const ORGANIZATION = /^o(\d{1,20})\.ingest\./i;

/** Organisation in a host such as `o1.ingest.sentry.io` or `o1.ingest.us.sentry.io`, as decimal digits; null for none. */
export function organizationOfHost(host: string): string | null {
  // Most hosts are none, and this is asked for every request.
  const first = host.charCodeAt(0);
  if (first !== LOWER_O && first !== UPPER_O) return null;
  return ORGANIZATION.exec(host)?.[1] ?? null;
}

const LOWER_O = 0x6f;
const UPPER_O = 0x4f;

/** Whether `host`, in lower case and without port, matches `pattern`; `*.` at the start stands for any subdomain. */
export function isHostOf(host: string, pattern: string): boolean {
  return pattern.startsWith("*.") ? host.endsWith(pattern.slice(1)) : host === pattern;
}

/** Host of a `Host` header: lower case, without port and without the dot of an absolute name. */
export function hostWithoutPort(header: string): string {
  return header.toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
}
