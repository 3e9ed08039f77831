/** The lines of a tap on a running node. */
import { request } from "node:http";
import { ADMIN_HEADER } from "../admin/operator_only.ts";
import type { TapRequest } from "../admin/tap_routes.ts";
import type { Config } from "../config/config.ts";
import { utf8 } from "../core/bytes.ts";
import type { TapEvent } from "../telemetry/tap_event.ts";
import { reachable, reasonOf } from "./admin_request.ts";

/** A line of a tap. */
export type TapLine =
  | TapEvent
  | { readonly stage: "attached"; readonly lanes: number }
  | { readonly stage: "end"; readonly shown: number; readonly dropped: number };

/**
 * Opens a tap and yields its lines until it ends, or `signal` aborts.
 *
 * @throws {Error} nobody answers, or the node refused; the message says so
 */
export async function* tapStream(
  { admin: { enabled, socket, host, port, token } }: Config,
  wanted: Partial<TapRequest>,
  signal: AbortSignal,
): AsyncGenerator<TapLine> {
  if (!enabled) throw new Error("the admin listener is off (admin.enabled)");
  const body = JSON.stringify(wanted);
  const headers = {
    [ADMIN_HEADER]: "1",
    "Content-Type": "application/json",
    "Content-Length": String(utf8(body).length),
    ...token !== null && { Authorization: `Bearer ${token}` },
  };
  const place = socket === null ? { host: reachable(host), port } : { socketPath: socket };
  const sent = request({ ...place, path: "/tap", method: "POST", headers, agent: false });
  const stop = (): void => void sent.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const answered = Promise.withResolvers<AsyncIterable<Uint8Array> & { statusCode?: number }>();
    sent.on("response", answered.resolve);
    sent.on("error", answered.reject);
    sent.end(body);
    const answer = await answered.promise.catch((error) => {
      throw new Error(
        `the admin listener at ${socket ?? `${host}:${port}`} does not answer: ${error.message}`,
      );
    });
    yield* linesOf(answer, signal);
  } finally {
    signal.removeEventListener("abort", stop);
    sent.destroy();
  }
}

async function* linesOf(
  answer: AsyncIterable<Uint8Array> & { statusCode?: number },
  signal: AbortSignal,
): AsyncGenerator<TapLine> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const chunk of answer) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      if (answer.statusCode === 200) yield* lines.map((line) => JSON.parse(line) as TapLine);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (answer.statusCode !== 200) {
    throw new Error(`the node did not do it: ${reasonOf(rest) ?? `status ${answer.statusCode}`}`);
  }
}
