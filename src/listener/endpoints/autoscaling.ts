/** GET of what an autoscaler goes by, in the text form of Prometheus: control reference, section 13. */
import { textAnswer } from "../answer.ts";
import type { Endpoint } from "../routes.ts";

/** Figures of the node. */
export interface Autoscaling {
  readonly isUp: boolean;
  /** Shares, 0 to 1. */
  readonly memoryUsage: number;
  readonly utilization: number;
  readonly spoolItems: number;
  readonly spoolBytes: number;
}

/** Endpoint that tells them. */
export function autoscalingEndpoint(read: () => Autoscaling): Endpoint {
  return () => {
    const { isUp, memoryUsage, utilization, spoolItems, spoolBytes } = read();
    const percent = utilization * 100;
    const body = [
      `relay_memory_usage ${memoryUsage}`,
      `relay_up ${isUp ? 1 : 0}`,
      `relay_spool_item_count ${spoolItems}`,
      `relay_spool_total_size ${spoolBytes}`,
      `relay_worker_pool_utilization ${percent}`,
      `relay_runtime_utilization ${percent}`,
      "",
    ].join("\n");
    return textAnswer(200, body);
  };
}
