/** Whose request is passed on, so that it follows the routes of records: an upload belongs where its event goes. */
import { canonicalProjectId } from "../protocol/project_key.ts";
import { extractAuth } from "../protocol/request_auth.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { RouteSubject } from "../upstream/upstream_route.ts";
import type { IncomingRequest } from "./incoming_request.ts";

/** A project of a path below `/api/`; that of the API itself, 0, is none. */
const PROJECT = /^\/api\/(\d+)\//;

/** The key a request states, and its project; null when it states none that can be read, which is for the upstream to judge. */
export function forwardSubject(request: IncomingRequest): RouteSubject | null {
  const key = request.key !== "" ? request.key : statedKey(request);
  if (key === null) return null;
  const projectId = canonicalProjectId(PROJECT.exec(request.path)?.[1] ?? "") ?? "";
  return { key, projectId: projectId === "0" ? "" : projectId };
}

function statedKey(request: IncomingRequest): string | null {
  try {
    const auth = extractAuth({
      xSentryAuth: request.header("x-sentry-auth"),
      authorization: request.header("authorization"),
      rawQuery: request.query,
    });
    return auth?.key ?? null;
  } catch (error) {
    if (error instanceof RequestError) return null;
    throw error;
  }
}
