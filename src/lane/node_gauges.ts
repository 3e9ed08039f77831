import { VERSION } from "../core/version.ts";
import type { DiskBudget } from "../spool/disk_budget.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";

/** Sets the gauges of the node as a whole: readiness, version, spool. */
export function setNodeGauges(
  metrics: Metrics,
  { bytesUsed, bytesMax }: Pick<DiskBudget, "bytesUsed" | "bytesMax">,
  now: { readonly ready: boolean; readonly freeBytes: number; readonly waiting: number },
): void {
  metrics.set(METRICS.ready, now.ready ? 1 : 0);
  metrics.set(METRICS.buildInfo, 1, VERSION);
  metrics.set(METRICS.spoolBytes, bytesUsed);
  metrics.set(METRICS.spoolBytesMax, bytesMax);
  metrics.set(METRICS.spoolFreeBytes, now.freeBytes);
  metrics.set(METRICS.spoolWaiting, now.waiting);
}
