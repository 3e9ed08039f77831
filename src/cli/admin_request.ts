/**
 * A changing request to the admin listener of a running node.
 *
 * Why `node:http` and not `fetch`: `fetch` honours `HTTP_PROXY`, and a node on the loopback is not behind a proxy.
 */
import { request } from "node:http";
import type { Config } from "../config/config.ts";
import { concatBytes, fromUtf8 } from "../core/bytes.ts";
import { ADMIN_HEADER } from "../admin/spool_routes.ts";

/**
 * Sends `POST path` and returns the JSON of the answer. Waits for as long as the node takes.
 *
 * @throws {Error} nobody answers, or the node refused or failed; the message says so
 */
export async function postAdmin({ admin }: Config, path: string): Promise<Readonly<Record<string, number>>> {
  const place = `${admin.host}:${admin.port}`;
  const { status, text } = await exchange(reachable(admin.host), admin.port, path).catch((error) => {
    throw new Error(`the admin listener at ${place} does not answer: ${error.message}`);
  });
  if (status === 200) return JSON.parse(text);
  throw new Error(`the node did not do it: ${reasonOf(text) ?? `status ${status}`}`);
}

function reachable(host: string): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
}

function exchange(host: string, port: number, path: string): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers = { [ADMIN_HEADER]: "1", "Content-Length": "0", Connection: "close" };
  const sent = request({ host, port, path, method: "POST", headers, agent: false }, (answer) => {
    const chunks: Uint8Array[] = [];
    answer.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text: fromUtf8(concatBytes(chunks)) }));
    answer.on("error", reject);
    answer.on("aborted", () => reject(new Error("the connection broke")));
  });
  sent.on("error", reject);
  sent.end();
  return promise;
}

function reasonOf(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === "string" ? error : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
