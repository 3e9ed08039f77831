/**
 * The status of one GET request, over a connection of its own.
 *
 * Why not `fetch`: it honours `HTTP_PROXY`, and a health check that asks a proxy about a node on the loopback address
 * says nothing about the node.
 */
import type { Clock } from "../core/clock.ts";

/** Where to connect to. */
export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

const STATUS_LINE_CHARS_MAX = 1024;

/**
 * Sends `GET path` and reads the status line of the answer.
 *
 * @throws {Error} no connection, no HTTP, or nothing within `timeoutMs`
 */
export async function requestStatus(
  address: HttpAddress,
  path: string,
  timeoutMs: number,
  clock: Clock,
): Promise<number> {
  const overdue = Promise.withResolvers<never>();
  const timer = clock.after(timeoutMs, () => overdue.reject(new Error(`nothing within ${timeoutMs} ms`)));
  let connection: Deno.TcpConn | undefined;
  let over = false;
  const answered = Deno.connect({ hostname: address.host, port: address.port }).then((opened) => {
    connection = opened;
    // A connection that comes up after the timeout has nobody who waits for it.
    if (over) opened.close();
    return exchange(opened, address, path);
  });
  try {
    return await Promise.race([answered, overdue.promise]);
  } finally {
    over = true;
    timer.cancel();
    connection?.close();
    answered.catch(() => {});
  }
}

async function exchange(
  connection: Deno.TcpConn,
  { host, port }: HttpAddress,
  path: string,
): Promise<number> {
  const name = host.includes(":") ? `[${host}]` : host;
  const head = `GET ${path} HTTP/1.1\r\nHost: ${name}:${port}\r\nUser-Agent: landfall-healthcheck\r\n` +
    "Connection: close\r\n\r\n";
  const bytes = new TextEncoder().encode(head);
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  const decoder = new TextDecoder("latin1");
  const buffer = new Uint8Array(STATUS_LINE_CHARS_MAX);
  let text = "";
  while (!text.includes("\r\n") && text.length < STATUS_LINE_CHARS_MAX) {
    const count = await connection.read(buffer);
    if (count === null) break;
    text += decoder.decode(buffer.subarray(0, count));
  }
  const status = /^HTTP\/1\.[01] (\d{3})\b/.exec(text)?.[1];
  if (status === undefined) throw new Error("the answer is not HTTP");
  return Number(status);
}
