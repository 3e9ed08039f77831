import { RequestError } from "./request_error.ts";

const MEDIA_TYPE = /^([!#$%&'*+.^_`|~\w-]+\/[!#$%&'*+.^_`|~\w-]+)[ \t]*(?:;.*)?$/;

/**
 * The media type of a `Content-Type` header in lower case, without its parameters.
 *
 * @throws {RequestError} 400 for a header that is missing or no media type (ingestion reference, section 1.2)
 */
export function mediaType(header: string | null): string {
  const type = MEDIA_TYPE.exec(header ?? "")?.[1];
  if (type !== undefined) return type.toLowerCase();
  const fault = header?.includes("/")
    ? "an invalid token was encountered"
    : "a slash (/) was missing between the type and subtype";
  throw RequestError.json(400, "content_type", `mime parse error: ${fault}`);
}
