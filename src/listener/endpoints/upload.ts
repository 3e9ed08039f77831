/**
 * POST /api/{project}/upload/ and PATCH /api/{project}/upload/{key}/: ingestion reference, section 1.5.
 *
 * Attachments that are too large for an envelope, by the TUS protocol. Headers are checked here; the upload itself is
 * the upstream's, so it needs one that is up: these two are never kept on disk.
 */
import { Backoff } from "../../core/backoff.ts";
import type { Clock } from "../../core/clock.ts";
import { RequestError } from "../../protocol/request_error.ts";
import type { Answer } from "../answer.ts";
import { forward, type ForwardDeps } from "../forwarding.ts";
import type { IncomingRequest } from "../incoming_request.ts";
import { lengthExceeded } from "../refusals.ts";
import type { Endpoint } from "../routes.ts";
import { keySender } from "../sender.ts";

/** What the upload endpoints work with. */
export interface UploadDeps extends ForwardDeps {
  readonly clock: Clock;
  /** `limits.max_upload_size`. */
  readonly uploadBytesMax: number;
  /** Hosts, with ports, by which the upstream calls itself. */
  readonly upstreamHosts: ReadonlySet<string>;
}

/** Attempts to create an upload at an upstream that answers 503. */
const CREATE_ATTEMPTS = 3;
const CREATE_RETRY_MS = 250;
const TUS_VERSION = "1.0.0";
const CONTENT_TYPE = "application/offset+octet-stream";

/** Endpoint that creates an upload. */
export function createUploadEndpoint(deps: UploadDeps): Endpoint {
  return async (request, pathProjectId) => {
    keySender(request, pathProjectId);
    checkVersion(request);
    const contentType = request.header("content-type");
    if (contentType !== null) throw wrongContentType("none", contentType);
    if (uploadLength(request) > deps.uploadBytesMax) throw lengthExceeded();
    const backoff = new Backoff({ baseMs: CREATE_RETRY_MS, factor: 2, maxMs: 4 * CREATE_RETRY_MS });
    for (;;) {
      // There is no body to speak of, so the request can be sent again.
      const answer = await passUpload(deps, request, 0);
      const isLast = backoff.attempts + 1 >= CREATE_ATTEMPTS || request.signal.aborted;
      if (answer.status !== 503 || isLast) return answer;
      if (answer.body instanceof ReadableStream) await answer.body.cancel();
      await deps.clock.sleep(backoff.next(), request.signal);
    }
  };
}

/** Endpoint that takes the bytes of an upload. */
export function patchUploadEndpoint(deps: UploadDeps): Endpoint {
  return (request, pathProjectId) => {
    keySender(request, pathProjectId);
    checkVersion(request);
    const contentType = request.header("content-type");
    if (contentType !== CONTENT_TYPE) throw wrongContentType(CONTENT_TYPE, contentType ?? "");
    if (numberOf(request.header("upload-offset")) === null) {
      throw RequestError.json(400, "payload", "expected Upload-Offset >= 0");
    }
    return passUpload(deps, request, deps.uploadBytesMax);
  };
}

function passUpload(deps: UploadDeps, request: IncomingRequest, bodyBytesMax: number): Promise<Answer> {
  return forward(deps, request, {
    bodyBytesMax,
    cors: true,
    rewrite: (name, value) => name === "location" ? homeward(value, deps.upstreamHosts) : value,
  });
}

/** Where the upload goes on, as seen from the client: at this node, not at the upstream behind it. */
function homeward(location: string, upstreamHosts: ReadonlySet<string>): string {
  const url = URL.parse(location);
  return url !== null && upstreamHosts.has(url.host) ? url.pathname + url.search : location;
}

function checkVersion(request: IncomingRequest): void {
  const version = request.header("tus-resumable");
  if (version === TUS_VERSION) return;
  const detail = `expected Tus-Resumable: ${TUS_VERSION}, got: ${version ?? "(missing)"}`;
  throw RequestError.json(412, "payload", detail, [], { "tus-version": TUS_VERSION });
}

/** The announced length of an upload, bytes; 0 when it is told later. */
function uploadLength(request: IncomingRequest): number {
  const length = numberOf(request.header("upload-length"));
  const deferred = numberOf(request.header("upload-defer-length"));
  if (length !== null && deferred === null) return length;
  if (length === null && deferred === 1) return 0;
  const shown = (value: number | null): string => value === null ? "None" : `Some(${value})`;
  throw RequestError.json(
    400,
    "payload",
    `expected Upload-Length or Upload-Defer-Length=1, got Upload-Length=${shown(length)}, ` +
      `Upload-Defer-Length=${shown(deferred)}`,
  );
}

function wrongContentType(expected: string, received: string): RequestError {
  return RequestError.json(
    415,
    "content_type",
    `expected Content-Type: ${expected}, got: ${received.slice(0, 256)}`,
  );
}

function numberOf(header: string | null): number | null {
  return header !== null && /^\+?\d{1,15}$/.test(header) ? Number(header) : null;
}
