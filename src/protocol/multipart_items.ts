/**
 * What the parts of a multipart body become in an envelope: ingestion reference, section 1.3.
 *
 * Parts with a file name are attachments, the others are fields of one `form_data` item, which goes last. Parts with
 * neither name are dropped.
 */
import type { ItemLimits } from "./item_limits.ts";
import type { PartHead } from "./multipart.ts";
import { RequestError } from "./request_error.ts";

/** Headers of an item still to be put into an envelope. */
export type NewItemHeaders = Readonly<Record<string, string>>;

/** Headers of the item that holds the fields of an upload. */
export const FIELDS_HEADERS: NewItemHeaders = { type: "form_data", content_type: "text/plain" };

/** Limits of uploads, as in the configuration. */
export type UploadLimits = Pick<ItemLimits, "maxAttachmentSize" | "maxAttachmentsSize">;

/** Headers of the item that a file becomes. */
export function fileHeaders(
  { filename, contentType }: Pick<PartHead, "contentType"> & { readonly filename: string },
  attachmentType: string,
): NewItemHeaders {
  return {
    type: "attachment",
    attachment_type: attachmentType,
    ...(contentType ? { content_type: contentType } : {}),
    filename,
  };
}

/** Holds the files of one upload against the limits while they pass. */
export class FileSizes {
  readonly #limits: UploadLimits;
  #name: string | null = null;
  #bytes = 0;
  #total = 0;

  constructor(limits: UploadLimits) {
    this.#limits = limits;
  }

  /** The next file begins. */
  begin(name: string | null): void {
    [this.#name, this.#bytes] = [name, 0];
  }

  /**
   * More of it came.
   *
   * @throws {RequestError} 413 when it, or all together, are too large, whichever was reached first
   */
  add(bytes: number): void {
    const roomOfFile = this.#limits.maxAttachmentSize - this.#bytes;
    const roomOfAll = this.#limits.maxAttachmentsSize - this.#total;
    if (bytes > Math.min(roomOfFile, roomOfAll)) {
      throw tooLarge(roomOfFile <= roomOfAll ? `field '${this.#name ?? ""}'` : "stream");
    }
    this.#bytes += bytes;
    this.#total += bytes;
  }
}

function tooLarge(what: string): RequestError {
  return RequestError.json(413, "too_large", "invalid multipart data", [`${what} exceeded the size limit`]);
}
