/**
 * A request to the admin listener of a running node.
 *
 * Why `node:http` and not `fetch`: `fetch` honours `HTTP_PROXY`, and a node on the loopback is not behind a proxy.
 */
import { request } from "node:http";
import type { Config } from "../config/config.ts";
import { concatBytes, fromUtf8, utf8 } from "../core/bytes.ts";
import { ADMIN_HEADER } from "../admin/operator_only.ts";

/**
 * Sends `POST path` with a body of JSON, if there is one, and returns the JSON of the answer. Waits for as long as the node takes.
 *
 * @throws {Error} nobody answers, or the node refused or failed; the message says so
 */
export async function postAdmin(
  config: Config,
  path: string,
  body?: object,
): Promise<Readonly<Record<string, number>>> {
  return await askAdmin(config, "POST", path, body) as Readonly<Record<string, number>>;
}

/**
 * Sends `GET path` and returns the JSON of the answer.
 *
 * @throws {Error} as {@link postAdmin}
 */
export function getAdmin(config: Config, path: string): Promise<unknown> {
  return askAdmin(config, "GET", path);
}

async function askAdmin({ admin }: Config, method: string, path: string, body?: object): Promise<unknown> {
  if (!admin.enabled) throw new Error("the admin listener is off (admin.enabled)");
  const place = admin.socket ?? `${admin.host}:${admin.port}`;
  const sent = body === undefined ? "" : JSON.stringify(body);
  const { status, text } = await exchange(admin, method, path, sent).catch((error) => {
    throw new Error(`the admin listener at ${place} does not answer: ${error.message}`);
  });
  if (status === 200) return JSON.parse(text);
  throw new Error(`the node did not do it: ${reasonOf(text) ?? `status ${status}`}`);
}

/** The address at which a listener that is bound to any can be reached from here. */
export function reachable(host: string): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
}

function exchange(
  { socket, host, port, token }: Config["admin"],
  method: string,
  path: string,
  body: string,
): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers = {
    [ADMIN_HEADER]: "1",
    "Content-Type": "application/json",
    "Content-Length": String(utf8(body).length),
    Connection: "close",
    ...token !== null && { Authorization: `Bearer ${token}` },
  };
  const place = socket === null ? { host: reachable(host), port } : { socketPath: socket };
  const sent = request({ ...place, path, method, headers, agent: false }, (answer) => {
    const chunks: Uint8Array[] = [];
    answer.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text: fromUtf8(concatBytes(chunks)) }));
    answer.on("error", reject);
    answer.on("aborted", () => reject(new Error("the connection broke")));
  });
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

/** The reason in an answer of the admin listener, if it gives one. */
export function reasonOf(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === "string" ? error : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
