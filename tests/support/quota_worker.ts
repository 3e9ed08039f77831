/** A worker that takes from a quota as fast as it can, and tells how much it got. */
import type { CountedQuota } from "../../src/projects/quotas/quota.ts";
import { QuotaCounters } from "../../src/projects/quotas/quota_counters.ts";

/** What a worker is to do. */
export interface CountingTask {
  readonly buffer: SharedArrayBuffer;
  readonly quota: CountedQuota;
  readonly quantities: readonly number[];
  readonly nowMs: number;
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<CountingTask>) => void) | null;
  postMessage(admitted: number): void;
}

const scope = self as unknown as WorkerScope;
const IDS = { organization: "1", project: "42", key: "7" };

scope.onmessage = ({ data: { buffer, quota, quantities, nowMs } }) => {
  const counters = new QuotaCounters(buffer);
  let admitted = 0;
  for (const quantity of quantities) {
    if (counters.take([{ quota, quantity }], IDS, nowMs) === null) admitted += quantity;
  }
  scope.postMessage(admitted);
};
