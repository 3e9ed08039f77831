import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DeadLetter } from "../../../src/spool/dead_letter.ts";
import { DeadLetterShare } from "../../../src/spool/dead_letter_share.ts";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { numbered } from "../../support/spool_fixture.ts";

const metrics = new Metrics(METRIC_LAYOUT);

/** The dead letters of a node with so many lanes, on one disk and under one bound. */
class Node {
  readonly storage = new SimStorage({});
  readonly budget = DiskBudget.create(1 << 20);
  readonly clock = new ManualClock();
  buffer: SharedArrayBuffer;
  dead: DeadLetter[] = [];
  /** Waiting in shared memory alone does not keep the event loop alive; a manual clock does not either. */
  readonly #alive = setInterval(() => {}, 1000);

  private constructor(public bytesMax: number, lanes: number) {
    this.buffer = DeadLetterShare.createBuffer(lanes);
  }

  static async start(bytesMax: number, lanes: number): Promise<Node> {
    const node = new Node(bytesMax, lanes);
    for (let lane = 0; lane < lanes; lane++) await node.open(lane);
    return node;
  }

  async open(lane: number): Promise<void> {
    const { storage, budget, clock } = this;
    // deno-lint-ignore no-this-alias
    const node = this;
    this.dead[lane] = await DeadLetter.open({
      storage,
      folder: `spool/p${lane}`,
      budget,
      clock,
      metrics,
      get bytesMax() {
        return node.bytesMax;
      },
      share: new DeadLetterShare(this.buffer, lane),
    });
  }

  /** Appends to the dead letter of a lane until `bytes` are held there or a record is refused. */
  async fill(lane: number, bytes: number): Promise<void> {
    const { bytesMax } = this;
    for (let n = 0; this.dead[lane]!.bytes < bytes && n < 1000; n++) {
      assert(await this.dead[lane]!.append(numbered(n), "refused"));
      assert(this.storage.bytes <= bytesMax, `${this.storage.bytes} of ${bytesMax} bytes`);
    }
  }

  get held(): number[] {
    return this.dead.map(({ bytes }) => bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const dead of this.dead) await dead.close();
    clearInterval(this.#alive);
  }
}

Deno.test("DeadLetterShare: one lane has the whole bound while the others need nothing", async () => {
  await using node = await Node.start(8000, 4);
  await node.fill(0, 7500);
  assertEquals(node.held.slice(1), [0, 0, 0]);
  assert(node.held[0]! >= 7500);
});

Deno.test("DeadLetterShare: a lane gets its even share from those that have more, which keep theirs", async () => {
  await using node = await Node.start(9000, 3);
  await node.fill(1, 1500);
  const small = node.held[1]!;
  await node.fill(0, 7000);
  await node.fill(2, 2800);
  const [first, second, third] = node.held;
  assert(first! > 4000 && third! >= 2800, `${node.held}`);
  assertEquals(second, small);
  assertEquals(first! + second! + third!, node.storage.bytes);
  // Beyond its share a lane gives up its own.
  for (let n = 0; n < 50; n++) await node.dead[2]!.append(numbered(n), "refused");
  assert(node.held[0]! > 4000, `${node.held}`);
});

Deno.test("DeadLetterShare: a lane that is not there holds nobody up for long, and keeps what it has", async () => {
  await using node = await Node.start(8000, 2);
  await node.fill(0, 7500);
  await node.dead[0]!.close();
  await node.fill(1, 8000 - node.held[0]! - 300);
  const before = node.held[0]!;
  let ended = 0;
  const refused = Promise.all(
    [1, 2, 3].map((n) =>
      node.dead[1]!.append(numbered(n, 200), "refused").then(() => {
        ended++;
      })
    ),
  );
  for (let turn = 0; ended < 3 && turn < 30; turn++) await node.clock.advance(500);
  assertEquals(ended, 3);
  // One of them has waited; for the others that is known.
  assert(node.clock.monotonic() <= 4500, `${node.clock.monotonic()} ms`);
  await refused;
  assertEquals(node.held[0], before);
  assert(node.storage.bytes <= 8000);
});

Deno.test("DeadLetterShare: what a dead lane took and asked for is set right by its successor", async () => {
  await using node = await Node.start(8000, 2);
  await node.fill(0, 3000);
  const dead = new DeadLetterShare(node.buffer, 0);
  await node.dead[0]!.close();
  dead.bytes += 4000;
  dead.ask(2000);
  await node.open(0);
  assertEquals(node.held[0], node.storage.bytes);
  await node.fill(1, 4500);
});

Deno.test("DeadLetterShare: with other lanes after a restart what is on disk counts, and a smaller bound is kept to", async () => {
  await using node = await Node.start(8000, 4);
  for (const lane of [0, 1, 2, 3]) await node.fill(lane, 1500);
  for (const dead of node.dead) await dead.close();
  node.dead = [];
  node.buffer = DeadLetterShare.createBuffer(2);
  for (const lane of [0, 1]) await node.open(lane);
  // The other two would have been adopted.
  for (const lane of [2, 3]) {
    for (const { name } of await node.storage.list(`spool/p${lane}/dead`)) {
      await node.storage.remove(`spool/p${lane}/dead/${name}`);
    }
  }
  assertEquals(node.held[0]! + node.held[1]!, node.storage.bytes);
  node.bytesMax = 2000;
  await node.dead[0]!.append(numbered(1), "refused");
  assert(node.held[0]! < 1000, `${node.held}`);
  await node.dead[1]!.append(numbered(1), "refused");
  assert(node.storage.bytes <= 2000, `${node.storage.bytes}`);
});

Deno.test("DeadLetterShare: whatever lanes append, and die, the bound holds and the count is that of the disk", async () => {
  const step = fc.record({
    lane: fc.nat(2),
    kind: fc.constantFrom("append", "append", "append", "append", "restart"),
    padding: fc.nat(400),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1500, max: 6000 }),
      async (steps, max) => {
        await using node = await Node.start(max, 3);
        for (const [n, { lane, kind, padding }] of steps.entries()) {
          if (kind === "append") await node.dead[lane]!.append(numbered(n, padding), "refused");
          else {
            await node.dead[lane]!.close();
            await node.open(lane);
          }
          assert(node.storage.bytes <= max);
        }
        // Appends at the same time, of all lanes.
        await Promise.all(node.dead.map((dead) => dead.append(numbered(1, 300), "refused")));
        for (const dead of node.dead) await dead.close();
        assert(node.storage.bytes <= max);
        assertEquals(node.held.reduce((sum, bytes) => sum + bytes), node.storage.bytes);
        assertEquals(node.budget.bytesUsed, node.storage.bytes);
      },
    ),
    { numRuns: 60 },
  );
});
