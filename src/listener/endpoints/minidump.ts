/**
 * POST /api/{project}/minidump, with and without a slash at the end: ingestion reference, sections 1.2 and 1.3.
 *
 * Crash reporters post a multipart form (Breakpad, Crashpad, Electron) or the dump alone. They want the event's id as
 * text, and some send the same again upon anything but 200; so limits are not told, and what is limited is dropped.
 *
 * Limits: the event that a report may bring along is held, within the memory of all bodies, for it has the id.
 */
import { hyphenated, newEventId } from "../../protocol/event_id.ts";
import { minidumpEventId } from "../../protocol/minidump_id.ts";
import { multipartBoundary, type PartHead } from "../../protocol/multipart.ts";
import type { NewItemHeaders } from "../../protocol/multipart_items.ts";
import { RequestError } from "../../protocol/request_error.ts";
import { textAnswer } from "../answer.ts";
import { submitBody } from "../built_envelope.ts";
import { both, type ByteSink, notEmpty } from "../byte_sink.ts";
import { DUMP_FIELD, dumpSink } from "../dump_sink.ts";
import type { EnvelopeWriter } from "../envelope_writer.ts";
import { FormSink, HeldPart } from "../form_sink.ts";
import { emptyBody } from "../refusals.ts";
import type { Endpoint } from "../routes.ts";
import { type IngestionDeps, keySender, untold } from "../submission.ts";

const DUMP = "event.minidump";
const EVENT = "event.payload";

/** Attachment types by the name of the part. */
const TYPES: ReadonlyMap<string | null, string> = new Map([
  [DUMP_FIELD, DUMP],
  ["__sentry-event", EVENT],
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
const RAW_HEADERS: NewItemHeaders = { type: "attachment", attachment_type: DUMP, filename: "Minidump" };

/** Endpoint for crash reports of native applications. */
export function minidumpEndpoint(deps: IngestionDeps): Endpoint {
  return async (request, projectId) => {
    const sender = keySender(request, projectId);
    const contentType = request.header("content-type");
    const report = RAW_TYPES.has(contentType)
      ? new CrashReport(deps, null)
      : new CrashReport(deps, multipartBoundary(contentType));
    return await submitBody(deps, request, sender, {
      limit: deps.maxUploadBytes + deps.itemLimits.maxAttachmentsSize,
      sink: (writer) => report.sink(writer),
      eventId: () => report.eventId,
      word: (limits) => {
        untold(limits);
        return textAnswer(200, hyphenated(report.eventId));
      },
    });
  };
}

/** One report while it arrives. */
class CrashReport {
  readonly #deps: IngestionDeps;
  readonly #boundary: string | null;
  #form: FormSink | null = null;
  #hasDump = false;
  #eventPayload: Uint8Array | null = null;
  #eventId: string | null = null;

  /** @param boundary of its form; null when it is the dump alone */
  constructor(deps: IngestionDeps, boundary: string | null) {
    this.#deps = deps;
    this.#boundary = boundary;
  }

  /** Takes the body. */
  sink(writer: EnvelopeWriter): ByteSink {
    const { itemLimits: limits, bodies: { budget } } = this.#deps;
    if (this.#boundary === null) return notEmpty(this.#dump(writer, RAW_HEADERS), emptyBody);
    const file = (headers: NewItemHeaders) => this.#file(writer, headers);
    return this.#form = new FormSink({ boundary: this.#boundary, writer, limits, budget, typeOf, file });
  }

  /**
   * The id it brought along, or a new one; to be asked for at its end.
   *
   * @throws {RequestError} 400 when there is no dump, or the event it brought along cannot be read
   */
  get eventId(): string {
    if (!this.#hasDump) throw RequestError.json(400, "missing_minidump_upload", "missing minidump");
    return this.#eventId ??= minidumpEventId(this.#eventPayload, this.#form?.fields ?? []) ?? newEventId();
  }

  #file(writer: EnvelopeWriter, headers: NewItemHeaders): ByteSink {
    const { attachment_type: type } = headers;
    if (type === DUMP && !this.#hasDump) return this.#dump(writer, headers);
    const item = writer.item(headers);
    if (type !== EVENT || this.#eventPayload !== null) return item;
    const { budget } = this.#deps.bodies;
    return both(new HeldPart(budget, (bytes) => this.#eventPayload = bytes), item);
  }

  #dump(writer: EnvelopeWriter, headers: NewItemHeaders): ByteSink {
    this.#hasDump = true;
    const { itemLimits: { maxAttachmentSize: limit }, bodies: { budget }, clock } = this.#deps;
    const into = (isInflated: boolean) => writer.item(dumpHeaders(headers, isInflated));
    return dumpSink({ limit, budget, clock, into });
  }
}

function typeOf({ name, filename }: PartHead): string {
  return TYPES.get(name) ?? TYPES_BY_FILE.get(filename) ?? "event.attachment";
}

function dumpHeaders(headers: NewItemHeaders, isInflated: boolean): NewItemHeaders {
  const { filename = "" } = headers;
  return {
    ...headers,
    content_type: "application/x-dmp",
    filename: isInflated ? filename.replace(/\.(?:gz|xz|bz2|zst)$/i, "") : filename,
  };
}
