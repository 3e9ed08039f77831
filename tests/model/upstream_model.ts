/**
 * Simulated time against the policies of an upstream: endpoints that die, slow down and come back at random, requests that
 * come at random, several lanes, and the control plane looking on; the parts are those of a node, only wires and time are
 * not.
 *
 * What must hold at every moment:
 * - while there is an endpoint, a request finds one, whatever was judged;
 * - not all endpoints are ejected, and no ejection is longer than its bound;
 * - retries at once stay within the budget;
 * - no lane has more under way than the ceiling, and is never held below the floor;
 * - a request is never tried twice at one endpoint.
 *
 * And in the end, once all endpoints have been well for long: everything is delivered, all breakers are closed, all
 * endpoints are in with their whole weight.
 */
import { parseArgs } from "node:util";
import { assert, assertEquals } from "@std/assert";
import { AdaptiveConcurrency } from "../../src/upstream/adaptive_concurrency.ts";
import { pickEndpoint } from "../../src/upstream/balancer.ts";
import { Endpoint } from "../../src/upstream/endpoint.ts";
import { HealthTable, HealthWriter } from "../../src/upstream/health_table.ts";
import { OutlierEjection } from "../../src/upstream/outlier_ejection.ts";
import { PER_SECOND, RetryBudget, SAVED_MAX } from "../../src/upstream/retry_budget.ts";
import type { EndpointSpec } from "../../src/upstream/upstream_spec.ts";
import { seededRandom } from "../support/seeded_random.ts";

const FLOOR = 4;
const CEILING = 32;
const SHARE = 0.2;
const LOOK_MS = 250;
const SLOW_START_MS = 5000;
const EJECTION = { failuresMax: 5, baseMs: 10_000, maxMs: 60_000 };
const RANDOM_MS = 120_000;
const CALM_MS = 200_000;

type Health = "well" | "slow" | "refusing" | "failing" | "silent";

interface Timed {
  readonly atMs: number;
  readonly run: () => void;
}

class Simulation {
  nowMs = 0;
  delivered = 0;
  readonly #random: () => number;
  readonly #events: Timed[] = [];
  readonly #health: Health[];
  readonly #table: HealthTable;
  readonly #ejection = new OutlierEjection(EJECTION);
  readonly #specs: EndpointSpec[];
  readonly #seen: { answered: number; failed: number }[];
  readonly #lanes: Lane[];
  sent = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const count = 1 + Math.floor(this.#random() * 5);
    const lanes = 1 + Math.floor(this.#random() * 3);
    this.#table = new HealthTable(lanes);
    this.#health = Array.from({ length: count }, () => "well");
    this.#seen = Array.from({ length: count }, () => ({ answered: 0, failed: 0 }));
    this.#specs = this.#health.map((_, slot) => ({
      id: `e${slot}`,
      hostname: "",
      port: slot,
      priority: Math.floor(this.#random() * 2),
      weight: 1 + Math.floor(this.#random() * 3),
      slot,
    }));
    this.#ejection.setMembers(this.#specs.map(({ id }) => id));
    this.#look();
    this.#lanes = Array.from(
      { length: lanes },
      (_, writer) => new Lane(this, this.#specs, this.#table, writer),
    );
  }

  run(): void {
    for (let atMs = 0; atMs < RANDOM_MS; atMs += this.#random() * 8000) this.at(atMs, () => this.#upset());
    for (let atMs = 0; atMs < RANDOM_MS + CALM_MS; atMs += LOOK_MS) this.at(atMs, () => this.#look());
    for (const lane of this.#lanes) {
      for (let atMs = 0; atMs < RANDOM_MS + CALM_MS; atMs += 5 + this.#random() * 400) {
        const burst = this.#random() < 0.03 ? 60 : 1;
        this.at(atMs, () => lane.add(burst));
      }
    }
    this.at(RANDOM_MS, () => this.#health.fill("well"));
    while (this.#events.length > 0) {
      const next = this.#take();
      this.nowMs = next.atMs;
      next.run();
    }
    assertEquals(this.delivered, this.sent, "everything is delivered");
    for (const lane of this.#lanes) lane.assertCalm();
    for (const spec of this.#specs) assertEquals(new HealthWriter(this.#table.buffer, 0).share(spec.slot), 1);
  }

  random(): number {
    return this.#random();
  }

  /** A binary heap would be quicker; so many events there are not. */
  at(atMs: number, run: () => void): void {
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#events[middle]!.atMs > atMs) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, { atMs, run });
  }

  /** How a request to an endpoint ends, and after how long. */
  outcome(slot: number): { ms: number; outcome: "answered" | "failed" | "unreachable" } {
    const ms = 5 + this.#random() * 20;
    switch (this.#health[slot]!) {
      case "well":
        return { ms, outcome: "answered" };
      case "slow":
        return { ms: ms * 40, outcome: "answered" };
      case "refusing":
        return { ms: 1, outcome: "unreachable" };
      case "failing":
        return { ms, outcome: "failed" };
      case "silent":
        return { ms: 5000, outcome: "unreachable" };
    }
  }

  #take(): Timed {
    return this.#events.pop()!;
  }

  #upset(): void {
    const kinds: Health[] = ["well", "well", "slow", "refusing", "failing", "silent"];
    const slot = Math.floor(this.#random() * this.#health.length);
    this.#health[slot] = kinds[Math.floor(this.#random() * kinds.length)]!;
  }

  #look(): void {
    for (const { id, slot } of this.#specs) {
      const [answered, failed] = [this.#table.total(slot, "answered"), this.#table.total(slot, "failed")];
      const seen = this.#seen[slot]!;
      const trailing = this.#table.most(slot, "trailing");
      this.#ejection.observe(id, {
        answered: answered - seen.answered,
        failed: failed - seen.failed,
        trailing,
      });
      this.#seen[slot] = { answered, failed };
    }
    this.#ejection.evaluate(this.nowMs);
    let inside = 0;
    for (const { id, slot } of this.#specs) {
      const state = this.#ejection.stateOf(id)!;
      if (state.kind === "in") {
        inside++;
        this.#table.publish(slot, Math.max(0.1, Math.min(1, (this.nowMs - state.sinceMs) / SLOW_START_MS)));
      } else {
        assert(state.untilMs - this.nowMs <= EJECTION.maxMs, "an ejection is bounded");
        this.#table.publish(slot, 0);
      }
    }
    assert(inside > 0, "never all ejected");
  }
}

class Lane {
  readonly #endpoints: readonly Endpoint[];
  readonly #budget = new RetryBudget(SHARE);
  readonly #concurrency = new AdaptiveConcurrency(FLOOR, () => CEILING);
  #waiting = 0;
  #inFlight = 0;
  #first = 0;
  #retries = 0;

  constructor(
    readonly world: Simulation,
    specs: readonly EndpointSpec[],
    table: HealthTable,
    writer: number,
  ) {
    const health = new HealthWriter(table.buffer, writer);
    this.#endpoints = specs.map((spec) => new Endpoint(spec, health, 1000));
  }

  add(count: number): void {
    this.world.sent += count;
    this.#waiting += count;
    this.#pump();
  }

  assertCalm(): void {
    assertEquals([this.#waiting, this.#inFlight], [0, 0]);
    for (const endpoint of this.#endpoints) {
      assertEquals(endpoint.inFlight, 0);
      // One that nobody was sent to since it failed may still be open; it would take the next request.
      assert(endpoint.breaker.allows(this.world.nowMs));
    }
  }

  #pump(): void {
    const { limit } = this.#concurrency;
    assert(limit >= FLOOR && limit <= CEILING, `limit ${limit}`);
    while (this.#waiting > 0 && this.#inFlight < this.#concurrency.limit) {
      this.#waiting--;
      this.#inFlight++;
      assert(this.#inFlight <= CEILING);
      this.#first++;
      this.#budget.earn(this.world.nowMs);
      this.#try([]);
    }
  }

  #try(tried: Endpoint[]): void {
    const { world } = this;
    const startMs = world.nowMs;
    const endpoint = pickEndpoint(this.#endpoints, tried, startMs, () => world.random());
    assert(endpoint !== null, "a request finds an endpoint");
    assert(!tried.includes(endpoint), "no endpoint twice");
    endpoint.begin(tried.length > 0, startMs);
    const { ms, outcome } = world.outcome(endpoint.spec.slot);
    world.at(startMs + ms, () => {
      endpoint.end(outcome, world.nowMs);
      const next = [...tried, endpoint];
      const mayRetry = outcome === "unreachable" &&
        pickEndpoint(this.#endpoints, next, world.nowMs, () => world.random()) !== null;
      if (mayRetry && this.#budget.spend(world.nowMs)) {
        this.#retries++;
        const bound = SAVED_MAX + SHARE * this.#first + PER_SECOND * world.nowMs / 1000;
        assert(this.#retries <= bound + 1e-6, `${this.#retries} retries, ${bound} allowed`);
        return this.#try(next);
      }
      this.#ended(outcome === "answered", ms);
    });
  }

  #ended(isDelivered: boolean, ms: number): void {
    const { world } = this;
    this.#concurrency.ended(!isDelivered, ms, this.#inFlight, world.nowMs);
    this.#inFlight--;
    if (isDelivered) world.delivered++;
    // Back to the spool, and out again later.
    else world.at(world.nowMs + 500 + world.random() * 1000, () => (this.#waiting++, this.#pump()));
    this.#pump();
  }
}

/** Runs one schedule. @throws AssertionError naming what did not hold, with the seed. */
export function runUpstreamModel(seed: number): void {
  try {
    new Simulation(seed).run();
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { runs: { type: "string", default: "5000" }, seed: { type: "string", default: "1" } },
  });
  const first = Number(values.seed);
  for (let seed = first; seed < first + Number(values.runs); seed++) runUpstreamModel(seed);
  // deno-lint-ignore no-console
  console.log(`${values.runs} schedules from seed ${first} on: everything held`);
}
