import { assertEquals } from "@std/assert";
import { Hono } from "hono";
import { addSpoolRoutes } from "../../../src/admin/spool_routes.ts";

function app() {
  const calls: string[] = [];
  const hono = new Hono();
  addSpoolRoutes(hono, {
    requeue() {
      calls.push("requeue");
      return Promise.resolve({ records: 2, bytes: 300, damaged: 0 });
    },
    purge() {
      calls.push("purge");
      return Promise.reject(new Error("the forward half of lane 0 does not run"));
    },
  });
  return { calls, hono };
}

const OPERATOR = { "X-Landfall-Admin": "1" };

Deno.test("addSpoolRoutes: an operator's POST is done and answered with what it did, or with why it was not", async () => {
  const { calls, hono } = app();
  const requeued = await hono.request("/spool/requeue", { method: "POST", headers: OPERATOR });
  assertEquals([requeued.status, await requeued.json()], [200, { records: 2, bytes: 300, damaged: 0 }]);
  const failed = await hono.request("/spool/purge", { method: "POST", headers: OPERATOR });
  assertEquals([failed.status, await failed.json()], [503, {
    error: "the forward half of lane 0 does not run",
  }]);
  assertEquals(calls, ["requeue", "purge"]);
});

const REFUSED: readonly [string, RequestInit, number][] = [
  ["no header", { method: "POST" }, 403],
  ["another value", { method: "POST", headers: { "X-Landfall-Admin": "yes" } }, 403],
  ["a web page", { method: "POST", headers: { ...OPERATOR, origin: "http://evil.test" } }, 403],
  ["a page without an address", { method: "POST", headers: { ...OPERATOR, origin: "null" } }, 403],
  ["a GET", { headers: OPERATOR }, 404],
  ["the question of a browser", { method: "OPTIONS", headers: { origin: "http://evil.test" } }, 403],
];

for (const [what, init, status] of REFUSED) {
  Deno.test(`addSpoolRoutes: ${what} changes nothing`, async () => {
    const { calls, hono } = app();
    for (const path of ["/spool/requeue", "/spool/purge"]) {
      const answer = await hono.request(path, init);
      assertEquals([answer.status, answer.headers.get("access-control-allow-origin")], [status, null]);
      await answer.body?.cancel();
    }
    assertEquals(calls, []);
  });
}
