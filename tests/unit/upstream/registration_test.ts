import { assertEquals } from "@std/assert";
import { QueryError } from "../../../src/upstream/query_client.ts";
import { Registration, type RegistrationState } from "../../../src/upstream/registration.ts";
import { FakeQueries } from "../../support/fake_queries.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const NETWORK = new QueryError("network", "connect: refused");
const REFUSED = new QueryError("refused", "HTTP 401: expired", 401);
const STOP = new QueryError("refused", "HTTP 403: banned", 403, true);

function setUp(intervalMs: number | null = 600_000) {
  const clock = new ManualClock();
  const queries = new FakeQueries();
  const states: RegistrationState["kind"][] = [];
  const registration = new Registration({
    queries,
    relayId: "id",
    publicKey: "key",
    version: "26.4.0",
    clock,
    intervalMs,
    retryIntervalMsMax: 2000,
    random: () => 0,
    onChange: ({ kind }) => states.push(kind),
  });
  registration.start();
  const tick = (ms = 0) => clock.advance(ms);
  /** Answers both questions of an attempt that is due. */
  async function succeed(): Promise<void> {
    await tick();
    queries.last.answer({ relay_id: "id", token: "a:b" });
    await tick();
    queries.last.answer({ relay_id: "id" });
    await tick();
  }
  async function fail(error: QueryError): Promise<void> {
    await tick();
    queries.last.fail(error);
    await tick();
  }
  return { clock, queries, states, registration, tick, succeed, fail };
}

Deno.test("Registration: challenge, response, and the same again after the interval (section 3)", async () => {
  const { queries, states, registration, tick, succeed } = setUp();
  await tick();
  assertEquals(queries.last.query, "challenge");
  assertEquals(queries.last.body, { relay_id: "id", public_key: "key", version: "26.4.0" });
  queries.last.answer({ relay_id: "id", token: "a:b" });
  await tick();
  assertEquals(queries.last.query, "response");
  assertEquals(queries.last.body, { relay_id: "id", token: "a:b", version: "26.4.0" });
  assertEquals(registration.isAuthenticated, false);
  queries.last.answer({ relay_id: "id" });
  await tick();
  assertEquals([states, registration.isAuthenticated], [["registered"], true]);
  await tick(599_999);
  assertEquals(queries.asked.length, 2);
  await tick(1);
  assertEquals([states.at(-1), registration.isAuthenticated], ["renewing", true]);
  await succeed();
  assertEquals(states, ["registered", "renewing", "registered"]);
  await registration.stop();
});

for (const intervalMs of [0, null]) {
  Deno.test(`Registration: an interval of ${intervalMs} means once`, async () => {
    const { clock, registration, queries, succeed } = setUp(intervalMs);
    await succeed();
    await clock.advance(1e9);
    assertEquals([queries.asked.length, clock.pending], [2, 0]);
    await registration.stop();
  });
}

Deno.test("Registration: tries again at once, after 1 s, 1.5 s and so on up to the ceiling, and starts over after a success", async () => {
  const { queries, registration, tick, succeed, fail } = setUp();
  // The first delay is none, and belongs to the first attempt.
  await fail(NETWORK);
  for (const delayMs of [1000, 1500, 2000, 2000]) {
    const before = queries.asked.length;
    await tick(delayMs - 1);
    assertEquals(queries.asked.length, before, `not before ${delayMs} ms`);
    await tick(1);
    assertEquals(queries.asked.length, before + 1, `after ${delayMs} ms`);
    await fail(NETWORK);
  }
  await tick(2000);
  await succeed();
  await tick(600_000);
  await fail(REFUSED);
  const before = queries.asked.length;
  await tick(1000);
  assertEquals(queries.asked.length, before + 1);
  await registration.stop();
});

Deno.test("Registration: a network error during a renewal changes nothing, any other failure does", async () => {
  const { registration, states, tick, succeed, fail } = setUp();
  await succeed();
  await tick(600_000);
  await fail(NETWORK);
  assertEquals([registration.state.kind, registration.isAuthenticated], ["renewing", true]);
  await tick(1000);
  await fail(REFUSED);
  assertEquals(registration.state, { kind: "unregistered", problem: "HTTP 401: expired" });
  await tick(1500);
  await succeed();
  assertEquals(states.at(-1), "registered");
  await registration.stop();
});

Deno.test("Registration: a refusal for good is the end of it", async () => {
  const { clock, queries, registration, fail } = setUp();
  await fail(STOP);
  assertEquals(registration.state, { kind: "denied", problem: "HTTP 403: banned" });
  await clock.advance(1e9);
  assertEquals([queries.asked.length, clock.pending], [1, 0]);
  await registration.stop();
});

for (const challenge of [null, {}, { token: 7 }, [], "token"]) {
  Deno.test(`Registration: ${JSON.stringify(challenge)} is no challenge`, async () => {
    const { queries, registration, tick } = setUp();
    await tick();
    queries.last.answer(challenge);
    await tick();
    assertEquals(registration.state, { kind: "unregistered", problem: "the challenge has no token" });
    await registration.stop();
  });
}

const clocks: [offMinutes: number, said: string][] = [
  [0.9, ""],
  [-0.9, ""],
  [5, "; the clock of this machine is 5 min ahead of the upstream's"],
  [-90, "; the clock of this machine is 90 min behind the upstream's"],
];
for (const [offMinutes, said] of clocks) {
  Deno.test(`Registration: a clock that is ${offMinutes} min ahead is ${said === "" ? "fine" : "named"}`, async () => {
    const { clock, registration, fail } = setUp();
    const upstreamMs = clock.now() - offMinutes * 60_000;
    await fail(new QueryError("refused", "HTTP 401: bad signature", 401, false, upstreamMs));
    assertEquals(registration.state, { kind: "unregistered", problem: `HTTP 401: bad signature${said}` });
    await registration.stop();
  });
}

Deno.test("Registration: stops in the middle of an attempt without a word", async () => {
  const { clock, registration, states, tick } = setUp();
  await tick();
  await registration.stop();
  assertEquals([states, clock.pending], [[], 0]);
});

Deno.test("Registration: another upstream has to be registered at first, whatever was under way or said before", async () => {
  for (const stage of ["asking", "registered", "denied"] as const) {
    const { queries, states, registration, tick, succeed, fail } = setUp();
    await tick();
    if (stage === "registered") await succeed();
    else if (stage === "denied") await fail(STOP);
    const old = queries.last;
    registration.restart();
    assertEquals(registration.isAuthenticated, false, stage);
    assertEquals(states.at(-1), "unregistered", stage);
    if (stage === "asking") old.answer({ relay_id: "id", token: "of the old one" });
    await tick();
    assertEquals([queries.last === old, queries.last.query], [false, "challenge"], stage);
    await succeed();
    assertEquals([registration.isAuthenticated, states.at(-1)], [true, "registered"], stage);
    await registration.stop();
  }
});
