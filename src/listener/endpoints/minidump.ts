/**
 * POST /api/{project}/minidump, with and without a slash at the end: ingestion reference, sections 1.2 and 1.3.
 *
 * Crash reporters post a multipart form (Breakpad, Crashpad, Electron) or the dump alone. They want the event's id as
 * text, and some send the same again upon anything but 200; so limits are not told, and what is limited is dropped.
 */
import { fromUtf8 } from "../../core/bytes.ts";
import { hyphenated, newEventId } from "../../protocol/event_id.ts";
import { minidumpEventId } from "../../protocol/minidump_id.ts";
import { embeddedBoundary, multipartBoundary, parseMultipart, type Part } from "../../protocol/multipart.ts";
import {
  type MultipartUpload,
  parseUpload,
  type UploadedFile,
  uploadItems,
} from "../../protocol/multipart_items.ts";
import { RequestError } from "../../protocol/request_error.ts";
import { type Answer, textAnswer } from "../answer.ts";
import { containerOf, inflateContainer } from "../inflate_container.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, keySender, submitItems, untold } from "../submission.ts";

const DUMP = "event.minidump";
const DUMP_FIELD = "upload_file_minidump";

/** Attachment types by the name of the part. */
const TYPES: ReadonlyMap<string | null, string> = new Map([
  [DUMP_FIELD, DUMP],
  ["__sentry-event", "event.payload"],
  ["__sentry-breadcrumb1", "event.breadcrumbs"],
  ["__sentry-breadcrumb2", "event.breadcrumbs"],
  ["view-hierarchy.json", "event.view_hierarchy"],
]);
const TYPES_BY_FILE: ReadonlyMap<string | null, string> = new Map([[
  "view-hierarchy.json",
  "event.view_hierarchy",
]]);

/** Media types of a body that is the dump itself; with parameters they are not. */
const RAW_TYPES: ReadonlySet<string | null> = new Set(["application/octet-stream", "application/x-dmp"]);

/** Endpoint for crash reports of native applications. */
export function minidumpEndpoint(deps: IngestionDeps): Endpoint {
  const { itemLimits, bodies } = deps;
  return async (request, projectId): Promise<Answer> => {
    const sender = keySender(request, projectId);
    const contentType = request.header("content-type");
    const boundary = RAW_TYPES.has(contentType) ? null : multipartBoundary(contentType);
    const body = await bodies.read(request, deps.maxUploadBytes + itemLimits.maxAttachmentsSize);
    let inflatedBytes = 0;
    try {
      const upload = boundary === null
        ? rawUpload(body.decoded)
        : parseUpload(body.decoded, boundary, itemLimits, typeOf);
      const dump = upload.files.find(({ headers }) => headers.attachment_type === DUMP);
      if (!dump) throw RequestError.json(400, "missing_minidump_upload", "missing minidump");
      const { file, isInflated } = await plainDump(deps, dump);
      if (isInflated) inflatedBytes = file.payload.length;
      const eventId = eventIdOf(upload) ?? newEventId();
      const files = upload.files.map((other) => other === dump ? file : other);
      const items = uploadItems({ files, fields: upload.fields });
      untold(await submitItems(deps, request, sender, { eventId, items }));
      return textAnswer(200, hyphenated(eventId));
    } finally {
      bodies.budget.release(inflatedBytes);
      body.release();
    }
  };
}

function typeOf({ name, filename }: Part): string {
  return TYPES.get(name) ?? TYPES_BY_FILE.get(filename) ?? "event.attachment";
}

function rawUpload(payload: Uint8Array): MultipartUpload {
  if (payload.length === 0) throw RequestError.json(400, "empty_body", "empty request body");
  const headers = { type: "attachment", attachment_type: DUMP, filename: "Minidump" };
  return { files: [{ name: DUMP_FIELD, headers, payload }], fields: [] };
}

function eventIdOf({ files, fields }: MultipartUpload): string | null {
  const event = files.find(({ headers }) => headers.attachment_type === "event.payload");
  return minidumpEventId(event?.payload ?? null, fields);
}

/**
 * The dump as it is sent on: out of the form it may be wrapped in, inflated, and checked.
 *
 * @throws {RequestError} 400 when it is damaged or no dump, 413 when it inflates beyond the limit of an attachment
 */
async function plainDump(
  { itemLimits, bodies, clock }: IngestionDeps,
  dump: UploadedFile,
): Promise<{ file: UploadedFile; isInflated: boolean }> {
  const wrapped = unwrapped(dump.payload);
  const container = containerOf(wrapped);
  const options = { limit: itemLimits.maxAttachmentSize, budget: bodies.budget, clock };
  const payload = container ? await inflateContainer(wrapped, container, options) : wrapped;
  const isInflated = container !== null;
  if (!isMinidump(payload)) {
    if (isInflated) bodies.budget.release(payload.length);
    throw RequestError.json(400, "invalid_minidump", "invalid minidump");
  }
  const { filename = "" } = dump.headers;
  const headers = {
    ...dump.headers,
    content_type: "application/x-dmp",
    filename: isInflated ? filename.replace(/\.(?:gz|xz|bz2|zst)$/i, "") : filename,
  };
  return { file: { ...dump, headers, payload }, isInflated };
}

/** Old versions of Electron send a whole form as the content of the dump's field. */
function unwrapped(payload: Uint8Array): Uint8Array {
  const boundary = embeddedBoundary(payload);
  if (boundary === null) return payload;
  return parseMultipart(payload, boundary).find(({ name }) => name === DUMP_FIELD)?.body ?? payload;
}

/** Whether the bytes begin like a dump, of little- or big-endian machines. */
function isMinidump(bytes: Uint8Array): boolean {
  const magic = fromUtf8(bytes.subarray(0, 4));
  return magic === "MDMP" || magic === "PMDM";
}
