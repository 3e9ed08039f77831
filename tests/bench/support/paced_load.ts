/**
 * Open-loop load: requests become due at a steady rate, whether or not those before were answered, and each is timed from
 * the moment it was due. A server that stalls is so charged with everything that would have arrived meanwhile.
 *
 * Arguments: hostname port path connections rate seconds bodyBytes. Prints one JSON line.
 */
import { LoadConnection, type LoadTarget, printLoad, requestBytes } from "./load_connection.ts";

const [hostname = "127.0.0.1", port = "0", path = "/", connections = "64", rate = "1000", seconds = "5"] =
  Deno.args;
const bodyBytes = Number(Deno.args[6] ?? 1200);

const target: LoadTarget = { hostname, port: Number(port), path };
const perMs = Number(rate) / 1000;
const total = Math.round(Number(rate) * Number(seconds));
const free = await Promise.all(
  Array.from({ length: Number(connections) }, () => LoadConnection.connect(target)),
);
const times: number[] = [];
const done = Promise.withResolvers<void>();
let next = 0;
let refused = 0;
const started = performance.now();

async function work(connection: LoadConnection): Promise<void> {
  while (next < total && next <= (performance.now() - started) * perMs) {
    const dueMs = started + next++ / perMs;
    if (!await connection.exchange(requestBytes(target, bodyBytes))) refused++;
    times.push(performance.now() - dueMs);
    if (times.length === total) done.resolve();
  }
  free.push(connection);
}

/** Hands what is due to the connections that wait; those at work go on by themselves. */
function tick(): void {
  const due = Math.min(total, Math.floor((performance.now() - started) * perMs) + 1) - next;
  for (const connection of free.splice(0, Math.max(0, due))) work(connection).catch(done.reject);
  if (next < total) setTimeout(tick, 1);
}

tick();
await done.promise;
printLoad(times, refused, (performance.now() - started) / 1000);
for (const connection of free) connection.close();
