import { requestHeader } from "../condition_field.ts";
import type { FilterSubject } from "./filter.ts";

/** The user agent an event is about, else that of the request which brought it. */
export function userAgentOf({ event, userAgent }: FilterSubject): string | null {
  return (event && requestHeader(event, "user-agent")) ?? userAgent;
}
