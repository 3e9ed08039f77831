/**
 * An upstream that takes everything: answers 200 and counts. Prints its port, then the count for every line it reads, or
 * for `peak` how many requests it had at once at most.
 * The port and a time to let every answer wait, in ms, may be given as arguments.
 */
const delayMs = Number(Deno.args[1] ?? 0);
let count = 0;
let underWay = 0;
let peak = 0;
const server = Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0] ?? 0), onListen: () => {} },
  async (request) => {
    peak = Math.max(peak, ++underWay);
    await request.bytes();
    count++;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    underWay--;
    return new Response("{}");
  },
);
// deno-lint-ignore no-console
console.log(server.addr.port);
for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  // deno-lint-ignore no-console
  console.log(line.trim() === "peak" ? peak : count);
}
