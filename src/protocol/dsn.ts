import { canonicalProjectId, isProjectKey } from "./project_key.ts";

/** Address of a project: where an SDK sends to, and with which key. */
export interface Dsn {
  readonly scheme: "http" | "https";
  /** Public key, 32 characters. */
  readonly key: string;
  readonly host: string;
  /** `null` for the scheme's default port. */
  readonly port: number | null;
  /** Canonical decimal; `null` for requests to the store endpoint that names no project. */
  readonly projectId: string | null;
}

/** A text that is no DSN; the message says what is missing. */
export class DsnError extends Error {
  override readonly name = "DsnError";
}

/**
 * Reads `https://<key>[:<secret>]@<host>[:<port>][/<prefix>]/<project id>`; secret and path prefix are ignored.
 *
 * @throws {DsnError} (ingestion reference, section 2)
 */
export function parseDsn(text: string): Dsn {
  const url = URL.parse(text);
  if (!url) throw new DsnError("no valid url provided");
  const path = trimSlashes(url.pathname);
  if (path === "") throw new DsnError("empty path");
  if (!isProjectKey(url.username)) throw new DsnError("username is empty");
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new DsnError("no valid scheme");
  const projectId = canonicalProjectId(path.slice(path.lastIndexOf("/") + 1));
  if (projectId === null) throw new DsnError("invalid project id");
  return {
    scheme: url.protocol === "https:" ? "https" : "http",
    key: url.username,
    host: url.hostname,
    port: url.port === "" ? null : Number(url.port),
    projectId,
  };
}

/** The DSN as Relay writes it: `https://<key>:@<host>[:<port>]/<project id>`, with 0 for an unknown project. */
export function formatDsn(dsn: Dsn): string {
  const port = dsn.port === null ? "" : `:${dsn.port}`;
  return `${dsn.scheme}://${dsn.key}:@${dsn.host}${port}/${dsn.projectId ?? "0"}`;
}

/** By hand, since `/\/+$/` takes quadratic time on a long run of slashes that something follows. */
function trimSlashes(path: string): string {
  let from = 0;
  let to = path.length;
  while (from < to && path[from] === "/") from++;
  while (to > from && path[to - 1] === "/") to--;
  return path.slice(from, to);
}
