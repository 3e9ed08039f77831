/**
 * The least a Deno program can do of a node's work, in one isolate: read the body, pass it on over kept connections with
 * one write, and answer; with a file as second argument it is synced into that first, all that wait together, and the
 * answer does not wait for the upstream. Nothing is parsed, checked, counted, settled or recovered.
 *
 * Arguments: port of the upstream, path of the file (optional). Prints its port.
 */
const upstreamPort = Number(Deno.args[0]);
const path = Deno.args[1];
const text = new TextEncoder();
const free: Deno.TcpConn[] = [];

async function forward(body: Uint8Array): Promise<void> {
  const conn = free.pop() ?? await Deno.connect({ port: upstreamPort });
  const head = text.encode(
    `POST /api/1/envelope/ HTTP/1.1\r\nhost: sink\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  const request = new Uint8Array(head.length + body.length);
  request.set(head);
  request.set(body, head.length);
  if (await conn.write(request) !== request.length) {
    throw new Error("a short write: not this bench's business");
  }
  const answer = new Uint8Array(1024);
  // The upstream's answer fits into one segment.
  if (await conn.read(answer) === null) throw new Error("the upstream hung up");
  free.push(conn);
}

let waiting: { body: Uint8Array; done(): void }[] = [];
let isSyncing = false;

async function sync(file: Deno.FsFile): Promise<void> {
  isSyncing = true;
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    for (const { body } of batch) file.writeSync(body);
    await file.syncData();
    for (const { done } of batch) done();
  }
  isSyncing = false;
}

const file = path === undefined ? null : await Deno.open(path, { create: true, write: true });
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
  const body = await request.bytes();
  if (file === null) {
    await forward(body);
  } else {
    await new Promise<void>((done) => {
      waiting.push({ body, done });
      if (!isSyncing) void sync(file);
    });
    void forward(body);
  }
  return new Response('{"id":"0123456789abcdef0123456789abcdef"}');
});
// deno-lint-ignore no-console
console.log(server.addr.port);
