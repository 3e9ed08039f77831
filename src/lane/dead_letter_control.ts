/**
 * The dead letters of a running node, as its operator handles them: all lanes together, one request after the other.
 *
 * Requeuing goes segment by segment: copied by the ingest half, deleted by the forward half. Whatever dies in between,
 * a record is then in the dead letter, or waiting, or both. Records that are rejected again meanwhile go to a new
 * segment, which this request does not touch, so it ends.
 */
import { NOTHING_REQUEUED, type Requeued, sumRequeued } from "../spool/requeue.ts";
import { logger } from "../telemetry/log.ts";
import type { Lane } from "./lane.ts";

const log = logger("lane");

/** Requeues and deletes dead letters through the lanes. */
export class DeadLetterControl {
  #turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly lanes: readonly Pick<Lane, "ask">[]) {}

  /**
   * Makes all dead records ordinary records of their partitions again.
   *
   * @throws {SpoolTaskError} a half is not there, or its disk refused; the records that are left stay where they are
   */
  requeue(): Promise<Requeued> {
    return this.#inTurn(async () => {
      let total = NOTHING_REQUEUED;
      for (const lane of this.lanes) {
        for (const { number: segment } of await lane.ask({ kind: "seal" })) {
          total = sumRequeued(total, await lane.ask({ kind: "requeue", segment }));
          await lane.ask({ kind: "discard", segment });
        }
      }
      log.info("The dead letter was requeued", { ...total });
      return total;
    });
  }

  /**
   * Deletes all dead records.
   *
   * @throws {SpoolTaskError} a half is not there, or its disk refused; what is left stays where it is
   */
  purge(): Promise<{ readonly bytes: number }> {
    return this.#inTurn(async () => {
      let total = 0;
      for (const lane of this.lanes) {
        for (const { number: segment, bytes } of await lane.ask({ kind: "seal" })) {
          await lane.ask({ kind: "discard", segment });
          total += bytes;
        }
      }
      log.info("The dead letter was deleted", { bytes: total });
      return { bytes: total };
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
