import { assert, assertEquals, assertMatch } from "@std/assert";
import { Hono } from "hono";
import { bearerOnly, operatorOnly } from "../../../src/admin/operator_only.ts";
import { SignIn } from "../../../src/admin/sign_in.ts";
import { ManualClock } from "../../support/manual_clock.ts";

function fixture() {
  const clock = new ManualClock(1_700_000_000_000);
  const state = { token: "right" as string | null };
  const signIn = new SignIn(clock, () => state.token);
  const app = new Hono();
  signIn.addRoutes(app);
  app.use(bearerOnly(() => state.token, (c) => signIn.isSignedIn(c)));
  app.get("/", (c) => c.text("the page"));
  app.get("/metrics", (c) => c.text("the metrics"));
  app.post("/change", operatorOnly, (c) => c.text("changed"));
  const enter = (token: string) =>
    app.request("/sign-in", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ token }).toString(),
    });
  return { app, clock, state, enter };
}

const cookieOf = (answer: Response): string => answer.headers.get("set-cookie")!.split(";")[0]!;

Deno.test("SignIn: the right token gives a cookie that reads everything and changes nothing", async () => {
  const { app, enter } = fixture();
  const form = await app.request("/");
  assertEquals(form.status, 401);
  assertMatch(await form.text(), /action="\/sign-in"/);
  const entered = await enter("right");
  assertEquals([entered.status, entered.headers.get("location")], [303, "/"]);
  assertMatch(entered.headers.get("set-cookie")!, /HttpOnly; SameSite=Strict$/);
  const headers = { cookie: cookieOf(entered) };
  for (const path of ["/", "/metrics"]) assertEquals((await app.request(path, { headers })).status, 200);
  for (const more of [{}, { origin: "http://x" }, { "X-Landfall-Admin": "1" }] as Record<string, string>[]) {
    const answer = await app.request("/change", { method: "POST", headers: { ...headers, ...more } });
    assertEquals(answer.status, 401);
  }
});

Deno.test("SignIn: a cookie ends with its time and with the token, and cannot be made up", async () => {
  const { app, clock, state, enter } = fixture();
  const cookie = cookieOf(await enter("right"));
  const status = async (cookie: string) => (await app.request("/metrics", { headers: { cookie } })).status;
  assertEquals(await status(cookie), 200);
  const [name, value] = cookie.split("=") as [string, string];
  const [ends, mac] = value.split(".") as [string, string];
  for (const forged of [`${Number(ends) + 1}.${mac}`, `${ends}.${mac.slice(1)}0`, `${ends}.`, ends, ""]) {
    assertEquals(await status(`${name}=${forged}`), 401);
  }
  state.token = "another";
  assertEquals(await status(cookie), 401);
  state.token = "right";
  await clock.advance(12 * 3_600_000 + 1);
  assertEquals(await status(cookie), 401);
});

Deno.test("SignIn: wrong tokens are refused, and after ten of them a minute every token is", async () => {
  const { clock, enter } = fixture();
  for (let i = 0; i < 10; i++) assertEquals((await enter(`guess ${i}`)).status, 401);
  const blocked = await enter("right");
  assertEquals([blocked.status, blocked.headers.get("set-cookie")], [429, null]);
  await clock.advance(60_000);
  assert((await enter("right")).headers.has("set-cookie"));
});
