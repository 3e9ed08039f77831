/**
 * Closed-loop load over keep-alive connections: `clients` sockets, each sends its next request when the answer to the
 * last has arrived. Runs as a process of its own, so that its CPU time is not counted with what is measured.
 *
 * Arguments: hostname port path clients requests bodyBytes. Prints one JSON line.
 */
const [hostname = "127.0.0.1", port = "0", path = "/", clients = "1", requests = "1", bodyBytes = "1200"] =
  Deno.args;

const key = "0123456789abcdef0123456789abcdef";
const encoder = new TextEncoder();

/** An envelope of about `bytes` bytes, as a current SDK sends it, with its own event id. */
function requestBytes(bytes: number): Uint8Array {
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

const total = Number(requests);
let sent = 0;
let refused = 0;
const times: number[] = [];

async function client(): Promise<void> {
  const socket = await Deno.connect({ hostname, port: Number(port) });
  socket.setNoDelay(true);
  const buffer = new Uint8Array(16 * 1024);
  const decoder = new TextDecoder();
  while (sent < total) {
    sent++;
    const request = requestBytes(Number(bodyBytes));
    const start = performance.now();
    for (let written = 0; written < request.length;) written += await socket.write(request.subarray(written));
    let answer = "";
    for (;;) {
      const n = await socket.read(buffer);
      if (n === null) throw new Error("connection closed");
      answer += decoder.decode(buffer.subarray(0, n), { stream: true });
      const end = answer.indexOf("\r\n\r\n");
      if (end < 0) continue;
      const length = /content-length: (\d+)/i.exec(answer);
      if (answer.length >= end + 4 + Number(length?.[1] ?? 0)) break;
    }
    times.push(performance.now() - start);
    if (!answer.startsWith("HTTP/1.1 200")) refused++;
  }
  socket.close();
}

const started = performance.now();
await Promise.all(Array.from({ length: Number(clients) }, client));
const seconds = (performance.now() - started) / 1000;
times.sort((a, b) => a - b);
const quantile = (q: number): number => times[Math.min(times.length - 1, Math.floor(q * times.length))] ?? 0;
// deno-lint-ignore no-console
console.log(
  JSON.stringify({ requests: times.length, refused, seconds, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }),
);
