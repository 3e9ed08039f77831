/** `localhost`: events from a developer's machine. Source: control reference, section 7. */
import { type JsonRecord, requestHeader } from "../condition_field.ts";
import type { FilteredPart } from "./filtered_part.ts";
import type { FilterSubject, InboundFilter } from "./filter.ts";

const ADDRESSES: readonly string[] = ["127.0.0.1", "::1"];
const DOMAINS: readonly string[] = ["127.0.0.1", "localhost"];

/** Matches events about a local page or user. */
export const localhost: InboundFilter = {
  reason: "localhost",
  isReading: true,
  kinds: new Set(["event", "session", "span"]),
  matches(subject) {
    const { event, part } = subject;
    if (part) return isLocal(part, subject);
    if (!event) return false;
    const address = userAddress(event, subject);
    if (address !== null && ADDRESSES.includes(address)) return true;
    const forwarded = requestHeader(event, "x-forwarded-for");
    if (forwarded !== null && ADDRESSES.includes(forwarded)) return true;
    const url = (event.request as JsonRecord | null | undefined)?.url;
    if (typeof url === "string" && url !== "") return isLocalUrl(url);
    return ["host", "x-forwarded-host"].some((name) => {
      const host = requestHeader(event, name)?.replace(/:\d*$/, "");
      return host !== undefined && DOMAINS.includes(host);
    });
  },
};

function isLocal({ address, url }: FilteredPart, { clientAddress }: FilterSubject): boolean {
  const user = address === "{{auto}}" ? clientAddress : address;
  return user !== null && ADDRESSES.includes(user) || url !== null && isLocalUrl(url);
}

function userAddress({ user, request }: JsonRecord, { clientAddress }: FilterSubject): string | null {
  const stated = (user as JsonRecord | null | undefined)?.ip_address ??
    ((request as JsonRecord | null | undefined)?.env as JsonRecord | null | undefined)?.REMOTE_ADDR;
  if (stated === "{{auto}}") return clientAddress;
  return typeof stated === "string" ? stated : null;
}

function isLocalUrl(text: string): boolean {
  const url = URL.parse(text);
  if (!url) return false;
  return url.protocol === "file:" ||
    DOMAINS.some((domain) => url.hostname === domain || url.hostname.endsWith(`.${domain}`));
}
