import { VERSION } from "../core/version.ts";
import type { DiskBudget } from "../spool/disk_budget.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics, MetricsReader } from "../telemetry/registry.ts";

/** What of the spool is to be known while the node is ready all the same. */
export function spoolNotes(metrics: Pick<MetricsReader, "read">): string[] {
  const places = metrics.read(METRICS.spoolUnreadable);
  return places > 0
    ? [`the disk fails to read what waits in ${places === 1 ? "one place" : `${places} places`}`]
    : [];
}

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
