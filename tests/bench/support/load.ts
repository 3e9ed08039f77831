/**
 * Closed-loop load over keep-alive connections: `clients` sockets, each sends its next request when the answer to the
 * last has arrived. Runs as a process of its own, so that its CPU time is not counted with what is measured.
 *
 * Arguments: hostname port path clients requests bodyBytes. Prints one JSON line.
 */
import { LoadConnection, type LoadTarget, printLoad, requestBytes } from "./load_connection.ts";

const [hostname = "127.0.0.1", port = "0", path = "/", clients = "1", requests = "1", bodyBytes = "1200"] =
  Deno.args;

const target: LoadTarget = { hostname, port: Number(port), path };
const total = Number(requests);
let sent = 0;
let refused = 0;
const times: number[] = [];

async function client(): Promise<void> {
  const connection = await LoadConnection.connect(target);
  while (sent < total) {
    sent++;
    const request = requestBytes(target, Number(bodyBytes));
    const start = performance.now();
    const isTaken = await connection.exchange(request);
    times.push(performance.now() - start);
    if (!isTaken) refused++;
  }
  connection.close();
}

const started = performance.now();
await Promise.all(Array.from({ length: Number(clients) }, client));
printLoad(times, refused, (performance.now() - started) / 1000);
