/** The world of `bench:world`: whether its distances are those of Earth, and its lines as long as they say. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { DelayedLink } from "../../bench/world/delayed_link.ts";
import { CHECKS, distanceKm, EARTH, nearestPops, roundTripMs } from "../../bench/world/world_map.ts";

const place = (name: string) => EARTH.cities.find((city) => city.name === name)!;

Deno.test("world: great-circle distances are those of an atlas", () => {
  assertAlmostEquals(distanceKm(place("New York"), place("London")), 5570, 20);
  assertAlmostEquals(distanceKm(place("Sydney"), place("Auckland")), 2156, 20);
  assertEquals(distanceKm(place("Tokyo"), place("Tokyo")), 0);
});

Deno.test("world: the model gives public figures within a fifth", () => {
  for (const { what, from, to, roundTrips, publicMs } of CHECKS) {
    const one = roundTripMs(EARTH.model, place(from), to === undefined ? EARTH.origin : place(to));
    const modelMs = roundTrips === undefined ? one : roundTrips * one + EARTH.model.originMs;
    const [least, most] = [Math.min(...publicMs), Math.max(...publicMs)];
    assert(modelMs > least * 0.8 && modelMs < most * 1.2, `${what}: ${modelMs} ms`);
  }
});

Deno.test("world: clients are sent to the nearest PoP, and then to the next", () => {
  assertEquals(nearestPops(EARTH, place("Perth")).slice(0, 2).map(({ name }) => name), [
    "Sydney",
    "Singapore",
  ]);
  assertEquals(nearestPops(EARTH, place("Berlin"))[0]!.name, "Frankfurt");
});

Deno.test("world: first bytes over a line pay the TCP handshake, later ones a round trip", async () => {
  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const echoing = server.accept().then((conn) => conn.readable.pipeTo(conn.writable));
  await using link = new DelayedLink({ roundTripMs: 80, port: server.addr.port });
  const startedMs = performance.now();
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: link.port });
  await echo(conn);
  const firstMs = performance.now() - startedMs;
  await echo(conn);
  const nextMs = performance.now() - startedMs - firstMs;
  assert(firstMs >= 160, `${firstMs} ms`);
  assert(nextMs >= 80, `${nextMs} ms`);
  await conn.closeWrite();
  await echoing;
  assertEquals(await conn.read(new Uint8Array(1)), null);
  assertEquals(link.connections, 1);
});

Deno.test("world: a line that leads nowhere ends connections after a round trip, a cut one at once", async () => {
  await using link = new DelayedLink({ roundTripMs: 60, port: 0 });
  const startedMs = performance.now();
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: link.port });
  assertEquals(await conn.read(new Uint8Array(1)), null);
  assert(performance.now() - startedMs >= 60);

  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const echoing = server.accept().then((conn) => conn.readable.pipeTo(conn.writable));
  link.lead({ roundTripMs: 1, port: server.addr.port });
  using other = await Deno.connect({ hostname: "127.0.0.1", port: link.port });
  await echo(other);
  link.cut();
  assertEquals(await other.read(new Uint8Array(1)), null);
  await echoing;
});

async function echo(conn: Deno.TcpConn): Promise<void> {
  await conn.write(new Uint8Array([42]));
  const answer = new Uint8Array(1);
  assertEquals(await conn.read(answer), 1);
  assertEquals(answer[0], 42);
}
