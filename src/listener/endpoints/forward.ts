/** Everything else below /api/: ingestion reference, section 1.4, "Forwarder". */
import { RequestError } from "../../protocol/request_error.ts";
import { forward, type ForwardDeps } from "../forwarding.ts";
import type { Endpoint } from "../routes.ts";

/** Bounds of forwarded bodies, bytes: section 4.2. */
export interface ForwardLimits {
  /** `limits.max_api_payload_size`. */
  readonly payloadBytesMax: number;
  /** `limits.max_api_file_upload_size`. */
  readonly fileUploadBytesMax: number;
  /** `limits.max_api_chunk_upload_size`. */
  readonly chunkUploadBytesMax: number;
}

const FILE_UPLOAD = /^\/api\/0\/projects\/[^/]+\/[^/]+\/(?:releases\/[^/]+\/(?:files|dsyms)|files\/dsyms)\/$/;
const CHUNK_UPLOAD = /^\/api\/0\/organizations\/[^/]+\/chunk-upload\/$/;

/** Endpoint for the upstream's API; its answers are passed on whatever they say. */
export function forwardEndpoint(deps: ForwardDeps, limits: ForwardLimits): Endpoint {
  return (request) => {
    // Changing protocols cannot be passed on. What only offers to (h2c) is answered in the one it came in.
    if (request.header("upgrade")?.toLowerCase().includes("websocket")) {
      throw RequestError.empty(400, "other");
    }
    return forward(deps, request, { bodyBytesMax: bodyBytesMax(request.path, limits) });
  };
}

function bodyBytesMax(path: string, limits: ForwardLimits): number {
  if (FILE_UPLOAD.test(path)) return limits.fileUploadBytesMax;
  return CHUNK_UPLOAD.test(path) ? limits.chunkUploadBytesMax : limits.payloadBytesMax;
}
