/**
 * An upstream that takes everything: answers 200 and counts. Prints its port, then the count for every line it reads.
 * The port and a time to let every answer wait, in ms, may be given as arguments.
 */
const delayMs = Number(Deno.args[1] ?? 0);
let count = 0;
const server = Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0] ?? 0), onListen: () => {} },
  async (request) => {
    await request.bytes();
    count++;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    return new Response("{}");
  },
);
// deno-lint-ignore no-console
console.log(server.addr.port);
for await (const _ of Deno.stdin.readable) {
  // deno-lint-ignore no-console
  console.log(count);
}
