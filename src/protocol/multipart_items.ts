/**
 * What the parts of a multipart body become in an envelope: ingestion reference, section 1.3.
 *
 * Parts with a file name are attachments, the others are fields of one `form_data` item, which goes last. Parts with
 * neither name are dropped.
 */
import { fromUtf8 } from "../core/bytes.ts";
import { encodeFormData, type FormField } from "./form_data.ts";
import type { ItemLimits } from "./item_limits.ts";
import { parseMultipart, type Part } from "./multipart.ts";
import { RequestError } from "./request_error.ts";

/** An item still to be put into an envelope. */
export interface MultipartItem {
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

/** An uploaded file. */
export interface UploadedFile extends MultipartItem {
  /** Name of its part. */
  readonly name: string | null;
}

/** A multipart body, taken apart. */
export interface MultipartUpload {
  readonly files: readonly UploadedFile[];
  readonly fields: readonly FormField[];
}

/** Limits of uploads, as in the configuration. */
export type UploadLimits = Pick<ItemLimits, "maxAttachmentSize" | "maxAttachmentsSize">;

/**
 * Takes an upload apart; payloads are ranges of `bytes`.
 *
 * @param typeOf the `attachment_type` of a file
 * @throws {RequestError} 400 when the body is malformed, 413 when a file or all of them are too large
 */
export function parseUpload(
  bytes: Uint8Array,
  boundary: string,
  limits: UploadLimits,
  typeOf: (part: Part) => string,
): MultipartUpload {
  const files: UploadedFile[] = [];
  const fields: FormField[] = [];
  let fileBytes = 0;
  for (const part of parseMultipart(bytes, boundary)) {
    const { name, filename, contentType, body } = part;
    if (filename !== null) {
      if (body.length > limits.maxAttachmentSize) throw tooLarge(`field '${name ?? ""}'`);
      fileBytes += body.length;
      if (fileBytes > limits.maxAttachmentsSize) throw tooLarge("stream");
      files.push({
        name,
        headers: {
          type: "attachment",
          attachment_type: typeOf(part),
          ...(contentType ? { content_type: contentType } : {}),
          filename,
        },
        payload: body,
      });
    } else if (name !== null) {
      fields.push([name, fromUtf8(body)]);
    }
  }
  return { files, fields };
}

function tooLarge(what: string): RequestError {
  return RequestError.json(413, "too_large", "invalid multipart data", [`${what} exceeded the size limit`]);
}

/** The items of an upload in the order they are sent on. */
export function uploadItems({ files, fields }: MultipartUpload): MultipartItem[] {
  const items = files.map(({ headers, payload }) => ({ headers, payload }));
  if (fields.length === 0) return items;
  const headers = { type: "form_data", content_type: "text/plain" };
  return [...items, { headers, payload: encodeFormData(fields) }];
}
