import { assertEquals, assertRejects } from "@std/assert";
import { DeadLetterControl } from "../../../src/lane/dead_letter_control.ts";
import {
  PendingTasks,
  type SpoolTask,
  SpoolTaskError,
  type SpoolTaskMessage,
  type SpoolTaskResult,
} from "../../../src/lane/spool_tasks.ts";

/** A lane with three dead segments that remembers what it was asked. */
function fakeLane(fail?: (task: SpoolTask) => boolean) {
  const asked: string[] = [];
  const segments = [1, 2, 3].map((number) => ({ number, bytes: 100 * number }));
  const results = { seal: segments, requeue: { records: 2, bytes: 90, damaged: 0 }, discard: null };
  return {
    asked,
    ask<T extends SpoolTask>(task: T): Promise<SpoolTaskResult[T["kind"]]> {
      asked.push("segment" in task ? `${task.kind} ${task.segment}` : task.kind);
      if (fail?.(task)) return Promise.reject(new SpoolTaskError("the spool is full"));
      return Promise.resolve(results[task.kind] as SpoolTaskResult[T["kind"]]);
    },
  };
}

const REQUEUED = ["seal", "requeue 1", "discard 1", "requeue 2", "discard 2", "requeue 3", "discard 3"];

Deno.test("DeadLetterControl.requeue: deletes a segment only after its records were appended, lane by lane", async () => {
  const lanes = [fakeLane(), fakeLane()];
  assertEquals(await new DeadLetterControl(lanes).requeue(), { records: 12, bytes: 540, damaged: 0 });
  assertEquals(lanes.map(({ asked }) => asked), [REQUEUED, REQUEUED]);
});

Deno.test("DeadLetterControl.requeue: a refusal ends it before the segment is deleted, and the next request works", async () => {
  let isFull = true;
  const lane = fakeLane((task) => isFull && task.kind === "requeue" && task.segment === 2);
  const control = new DeadLetterControl([lane]);
  await assertRejects(() => control.requeue(), SpoolTaskError, "full");
  assertEquals(lane.asked, REQUEUED.slice(0, 4));
  isFull = false;
  assertEquals((await control.requeue()).records, 6);
});

Deno.test("DeadLetterControl: requests come one after the other", async () => {
  const lane = fakeLane();
  const control = new DeadLetterControl([lane]);
  const [, purged] = await Promise.all([control.requeue(), control.purge()]);
  assertEquals(purged, { bytes: 600 });
  assertEquals(lane.asked, [...REQUEUED, "seal", "discard 1", "discard 2", "discard 3"]);
});

Deno.test("PendingTasks: answers find their question; those of a half that is gone are refused", async () => {
  const pending = new PendingTasks();
  const posted: SpoolTaskMessage[] = [];
  const post = (message: SpoolTaskMessage): void => void posted.push(message);
  const seal = pending.ask({ kind: "seal" }, post);
  const failing = pending.ask({ kind: "requeue", segment: 1 }, post);
  const lost = pending.ask({ kind: "requeue", segment: 2 }, post);
  pending.answered({ type: "spool", id: posted[1]!.id, answer: { ok: false, message: "io_error" } });
  pending.fail("ingest", "the node stops");
  pending.answered({ type: "spool", id: posted[0]!.id, answer: { ok: true, result: [] } });
  pending.answered({ type: "spool", id: posted[2]!.id, answer: { ok: true, result: null } });
  assertEquals(await seal, []);
  await assertRejects(() => failing, SpoolTaskError, "io_error");
  await assertRejects(() => lost, SpoolTaskError, "the node stops");
});
