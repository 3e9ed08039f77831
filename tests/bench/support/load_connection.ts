/** What both load generators send, and how they read the answer. */

/** Where load goes to. */
export interface LoadTarget {
  readonly hostname: string;
  readonly port: number;
  readonly path: string;
}

const key = "0123456789abcdef0123456789abcdef";
const encoder = new TextEncoder();

/** An envelope of about `bytes` bytes with its request head, as a current SDK sends it, with its own event id. */
export function requestBytes({ hostname, port, path }: LoadTarget, bytes: number): Uint8Array {
  const id = crypto.randomUUID().replaceAll("-", "");
  const header = JSON.stringify({
    event_id: id,
    sent_at: new Date().toISOString(),
    sdk: { name: "sentry.javascript.node", version: "11.12.0" },
    trace: { environment: "production", release: "web@1.2.3", public_key: key, trace_id: id },
  });
  const event = JSON.stringify({ event_id: id, level: "error", platform: "node", message: "" });
  const padding = "x".repeat(Math.max(0, bytes - header.length - event.length - 20));
  const payload = event.replace('"message":""', `"message":"${padding}"`);
  const body = encoder.encode(`${header}\n{"type":"event"}\n${payload}`);
  const head =
    `POST ${path}?sentry_version=7&sentry_key=${key}&sentry_client=sentry.javascript.node%2F11.12.0 HTTP/1.1\r\n` +
    `Host: ${hostname}:${port}\r\nUser-Agent: sentry.javascript.node/11.12.0\r\nContent-Length: ${body.length}\r\n\r\n`;
  const all = new Uint8Array(head.length + body.length);
  encoder.encodeInto(head, all);
  all.set(body, head.length);
  return all;
}

/** One keep-alive connection, one request at a time. */
export class LoadConnection {
  readonly #buffer = new Uint8Array(16 * 1024);
  readonly #decoder = new TextDecoder();

  private constructor(private readonly target: LoadTarget, private socket: Deno.TcpConn) {}

  static async connect(target: LoadTarget): Promise<LoadConnection> {
    return new LoadConnection(target, await open(target));
  }

  /** Sends a request and waits for all of its answer. @returns whether that was 200; false when the server closed */
  async exchange(request: Uint8Array): Promise<boolean> {
    const { socket } = this;
    for (let written = 0; written < request.length;) written += await socket.write(request.subarray(written));
    let answer = "";
    for (;;) {
      const n = await socket.read(this.#buffer);
      if (n === null) {
        this.socket.close();
        this.socket = await open(this.target);
        return false;
      }
      answer += this.#decoder.decode(this.#buffer.subarray(0, n), { stream: true });
      const end = answer.indexOf("\r\n\r\n");
      if (end < 0) continue;
      const length = /content-length: (\d+)/i.exec(answer);
      if (answer.length >= end + 4 + Number(length?.[1] ?? 0)) break;
    }
    return answer.startsWith("HTTP/1.1 200");
  }

  close(): void {
    this.socket.close();
  }
}

async function open({ hostname, port }: LoadTarget): Promise<Deno.TcpConn> {
  const socket = await Deno.connect({ hostname, port });
  socket.setNoDelay(true);
  return socket;
}

/** Prints what was measured as one line of JSON, which is a `Load`. */
export function printLoad(times: number[], refused: number, seconds: number): void {
  times.sort((a, b) => a - b);
  const quantile = (q: number): number =>
    times[Math.min(times.length - 1, Math.floor(q * times.length))] ?? 0;
  // deno-lint-ignore no-console
  console.log(
    JSON.stringify({ requests: times.length, refused, seconds, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }),
  );
}
