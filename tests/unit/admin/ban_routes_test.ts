import { assertEquals } from "@std/assert";
import { Hono } from "hono";
import { addBanRoutes } from "../../../src/admin/ban_routes.ts";
import { type Ban, BanError } from "../../../src/guard/ban_list.ts";

function app() {
  const calls: unknown[] = [];
  const hono = new Hono();
  const ban: Ban = { address: "192.0.2.1", untilMs: 5000, reason: "test" };
  addBanRoutes(hono, {
    bans: () => [ban],
    ban(address, banMs, reason) {
      if (address === "nobody") throw new BanError("not an address");
      calls.push([address, banMs, reason]);
      return ban;
    },
    unban(address) {
      if (address === "nobody") throw new BanError("not an address");
      calls.push(address);
      return address === ban.address;
    },
  });
  return { calls, hono };
}

const OPERATOR = { "X-Landfall-Admin": "1", "content-type": "application/json" };
const post = (body: unknown): RequestInit => ({
  method: "POST",
  headers: OPERATOR,
  body: JSON.stringify(body),
});

Deno.test("addBanRoutes: the list, an addition, a removal", async () => {
  const { calls, hono } = app();
  const ban = { address: "192.0.2.1", untilMs: 5000, reason: "test" };
  assertEquals(await (await hono.request("/bans")).json(), { bans: [ban] });
  const added = await hono.request("/bans", post({ address: "192.0.2.1", ms: 1000, reason: "why" }));
  assertEquals([added.status, await added.json()], [200, ban]);
  await hono.request("/bans", post({ address: "192.0.2.2", ms: 1 }));
  const removed = await hono.request("/bans/remove", post({ address: "192.0.2.1" }));
  assertEquals([removed.status, await removed.json()], [200, { address: "192.0.2.1" }]);
  const unknown = await hono.request("/bans/remove", post({ address: "192.0.2.9" }));
  assertEquals([unknown.status, await unknown.json()], [404, { error: "192.0.2.9 is not banned" }]);
  assertEquals(calls, [
    ["192.0.2.1", 1000, "why"],
    ["192.0.2.2", 1, "by the operator"],
    "192.0.2.1",
    "192.0.2.9",
  ]);
});

Deno.test("addBanRoutes: what is no ban is refused, and pages may change nothing", async () => {
  const { calls, hono } = app();
  const statusOf = async (path: string, init: RequestInit): Promise<number> =>
    (await hono.request(path, init)).status;
  for (
    const body of [
      null,
      {},
      { address: 1, ms: 1 },
      { address: "a", ms: 0 },
      { address: "nobody", ms: 1 },
      "x",
    ]
  ) {
    assertEquals(await statusOf("/bans", post(body)), 400);
    assertEquals(await statusOf("/bans/remove", post(body)), 400);
  }
  assertEquals(await statusOf("/bans", post({ address: "x".repeat(20_000), ms: 1 })), 413);
  for (const path of ["/bans", "/bans/remove"]) {
    const valid = post({ address: "192.0.2.1", ms: 1 });
    assertEquals(await statusOf(path, { ...valid, headers: { "content-type": "application/json" } }), 403);
    assertEquals(
      await statusOf(path, { ...valid, headers: { ...OPERATOR, origin: "http://evil.test" } }),
      403,
    );
  }
  assertEquals(calls, []);
});
