/**
 * An upstream that takes everything: answers 200 and counts. Prints its port, then the count for every line it reads.
 * The port may be given as an argument.
 */
let count = 0;
const server = Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0] ?? 0), onListen: () => {} },
  async (request) => {
    await request.bytes();
    count++;
    return new Response("{}");
  },
);
// deno-lint-ignore no-console
console.log(server.addr.port);
for await (const _ of Deno.stdin.readable) {
  // deno-lint-ignore no-console
  console.log(count);
}
