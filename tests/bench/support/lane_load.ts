/**
 * Closed-loop load like that of load.ts, over keep-alive connections that lead to lanes as is asked for.
 *
 * Which lane has taken a connection shows by the partition that grows with its first request; connections that are not
 * wanted are closed. Arguments: port path folder-of-the-node requests bodyBytes connections-of-the-first-lane
 * connections-of-the-second. Prints one JSON line.
 */
import { LoadConnection, type LoadTarget, printLoad, requestBytes } from "./load_connection.ts";

const [port = "0", path = "/", folder = "", requests = "1", bytes = "1200", ...perLane] = Deno.args;
const target: LoadTarget = { hostname: "127.0.0.1", port: Number(port), path };

function bytesOf(lane: number): number {
  let bytes = 0;
  for (const { name, isFile } of Deno.readDirSync(`${folder}/spool/p${lane}`)) {
    if (isFile && name.endsWith(".seg")) bytes += Deno.statSync(`${folder}/spool/p${lane}/${name}`).size;
  }
  return bytes;
}

const wanted = perLane.map(Number);
const connections: LoadConnection[] = [];
while (wanted.some((count) => count > 0)) {
  const connection = await LoadConnection.connect(target);
  const before = wanted.map((_, lane) => bytesOf(lane));
  await connection.exchange(requestBytes(target, 200));
  const lane = wanted.findIndex((_, lane) => bytesOf(lane) !== before[lane]);
  if (wanted[lane]! > 0) {
    wanted[lane]!--;
    connections.push(connection);
  } else connection.close();
}
let sent = 0;
let refused = 0;
const times: number[] = [];
const started = performance.now();
await Promise.all(connections.map(async (connection) => {
  while (sent++ < Number(requests)) {
    const request = requestBytes(target, Number(bytes));
    const start = performance.now();
    if (!await connection.exchange(request)) refused++;
    times.push(performance.now() - start);
  }
  connection.close();
}));
printLoad(times, refused, (performance.now() - started) / 1000);
