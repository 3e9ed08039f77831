/** The least a Deno server can do: read the body, answer 200. Prints its port. */
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
  await request.bytes();
  return new Response('{"id":"0123456789abcdef0123456789abcdef"}');
});
// deno-lint-ignore no-console
console.log(server.addr.port);
