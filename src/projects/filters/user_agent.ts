import { requestHeader } from "../condition_field.ts";
import type { FilterSubject } from "./filter.ts";

/** The user agent an event or a part is about, else that of the request which brought it. */
export function userAgentOf({ event, part, userAgent }: FilterSubject): string | null {
  return (event && requestHeader(event, "user-agent")) ?? part?.userAgent ?? userAgent;
}
