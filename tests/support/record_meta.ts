import type { RequestMeta } from "../../src/protocol/request_meta.ts";

/** Meta of one error of a project, as the listener would store it. */
export function errorMeta(key: string): RequestMeta & { readonly passthrough: null } {
  return {
    key,
    projectId: "1",
    version: 7,
    client: null,
    origin: null,
    remoteAddr: "127.0.0.1",
    forwardedFor: "127.0.0.1",
    userAgent: null,
    clientHints: null,
    noCache: false,
    contentEncoding: "",
    eventId: null,
    quantities: [["error", 1]],
    passthrough: null,
  };
}
