/**
 * Work on a lane's dead letter that the operator asks for: what the control plane asks of a half, and the answers it
 * still waits for.
 *
 * The forward half owns the dead letter and the ingest half the writer, so requeuing takes both: `seal` (forward),
 * then for each segment `requeue` (ingest) and `discard` (forward). A half answers when it is done and goes on with its
 * other messages meanwhile.
 */
import type { Requeued } from "../spool/requeue.ts";
import type { SegmentFile } from "../spool/segment_name.ts";
import type { HalfPort } from "./half_host.ts";
import type { HalfKind } from "./messages.ts";

/** What a half is asked to do. */
export type SpoolTask =
  /** Forward half: completes the dead letter's segment and names all of them. */
  | { readonly kind: "seal" }
  /** Ingest half: appends the records of a dead segment to the partition. */
  | { readonly kind: "requeue"; readonly segment: number }
  /** Forward half: deletes a dead segment. */
  | { readonly kind: "discard"; readonly segment: number };

/** What comes of it. */
export interface SpoolTaskResult {
  readonly seal: readonly SegmentFile[];
  readonly requeue: Requeued;
  readonly discard: null;
}

/** Which half does it. */
export const TASK_HALF: Readonly<Record<SpoolTask["kind"], HalfKind>> = {
  seal: "forward",
  requeue: "ingest",
  discard: "forward",
};

/** Control plane to half. */
export interface SpoolTaskMessage {
  readonly type: "spool";
  readonly id: number;
  readonly task: SpoolTask;
}

/** Half to control plane. */
export interface SpoolAnswerMessage {
  readonly type: "spool";
  readonly id: number;
  readonly answer:
    | { readonly ok: true; readonly result: SpoolTaskResult[SpoolTask["kind"]] }
    | { readonly ok: false; readonly message: string };
}

/** A task that was not done, or whose end nobody knows. */
export class SpoolTaskError extends Error {
  override readonly name = "SpoolTaskError";
}

/** Does a task in a half and posts the answer. */
export function answerSpoolTask(
  port: HalfPort,
  { id }: SpoolTaskMessage,
  work: Promise<SpoolTaskResult[SpoolTask["kind"]]>,
): void {
  work.then((result) => port.post({ type: "spool", id, answer: { ok: true, result } }), (error) => {
    const message = error instanceof Error ? error.message : String(error);
    port.post({ type: "spool", id, answer: { ok: false, message } });
  });
}

/** Tasks whose answers a lane waits for. */
export class PendingTasks {
  readonly #waiting = new Map<number, { half: HalfKind; done: PromiseWithResolvers<unknown> }>();
  #lastId = 0;

  /** Registers a task for a half; `post` hands it over. */
  ask<T extends SpoolTask>(
    task: T,
    post: (message: SpoolTaskMessage) => void,
  ): Promise<SpoolTaskResult[T["kind"]]> {
    const id = ++this.#lastId;
    const done = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { half: TASK_HALF[task.kind], done });
    post({ type: "spool", id, task });
    return done.promise as Promise<SpoolTaskResult[T["kind"]]>;
  }

  /** A half answered. */
  answered({ id, answer }: SpoolAnswerMessage): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (answer.ok) waiting?.done.resolve(answer.result);
    else waiting?.done.reject(new SpoolTaskError(answer.message));
  }

  /** A half is gone, and its answers with it. */
  fail(half: HalfKind, message: string): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.half !== half) continue;
      this.#waiting.delete(id);
      waiting.done.reject(new SpoolTaskError(message));
    }
  }
}
