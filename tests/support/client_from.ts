/** Requests from a chosen address of the loopback, or that a proxy claims to forward. */
import { request } from "node:http";
import { TEST_KEY } from "./node_process.ts";

/** Who sends what. */
export interface ClientFrom {
  readonly port: number;
  /** Address the connection comes from. */
  readonly from?: string;
  /** Value of `X-Forwarded-For`. */
  readonly forwardedFor?: string;
  readonly userAgent?: string;
  readonly host?: string;
  readonly key?: string;
  readonly projectId?: number;
  readonly path?: string;
  readonly method?: string;
  /** Body; without it an envelope with one small event. */
  readonly body?: string;
}

/** An answer. */
export interface ClientAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** Sends one request on a connection of its own. Rejects when no answer comes. */
export function requestFrom(o: ClientFrom): Promise<ClientAnswer> {
  const { port, from = "127.0.0.1", key = TEST_KEY, projectId = 1, method = "POST" } = o;
  const body = o.body ?? (method === "POST" ? envelope() : "");
  const headers = {
    "content-length": String(body.length),
    ...o.forwardedFor === undefined ? {} : { "x-forwarded-for": o.forwardedFor },
    ...o.userAgent === undefined ? {} : { "user-agent": o.userAgent },
    ...o.host === undefined ? {} : { host: o.host },
  };
  const path = o.path ?? `/api/${projectId}/envelope/?sentry_version=7&sentry_key=${key}`;
  const { promise, resolve, reject } = Promise.withResolvers<ClientAnswer>();
  const options = { host: "127.0.0.1", port, localAddress: from, method, path, headers, agent: false };
  const sent = request(options, (answer) => {
    let text = "";
    answer.setEncoding("utf8");
    answer.on("data", (part: string) => text += part);
    answer.on("error", reject);
    answer.on("end", () =>
      resolve({
        status: answer.statusCode ?? 0,
        headers: answer.headers as ClientAnswer["headers"],
        body: text,
      }));
  });
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

/** An envelope with one item, `{"message":"x"}` unless told otherwise. */
export function envelope(type = "event", payload = `{"message":"x"}`): string {
  const id = crypto.randomUUID().replaceAll("-", "");
  return `{"event_id":"${id}"}\n{"type":"${type}"}\n${payload}\n`;
}

/** Statuses of so many requests, one after the other. */
export async function statusesOf(times: number, client: ClientFrom): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < times; i++) statuses.push((await requestFrom(client)).status);
  return statuses;
}
