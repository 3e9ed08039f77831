/** The node at a glance, as served under `/status.json` and drawn by the status page. */
import { METRICS } from "../telemetry/catalogue.ts";
import type { Drain } from "../upstream/drain_progress.ts";
import type { EndpointStatus } from "../upstream/upstream_watch.ts";
import type { RecentError } from "../telemetry/recent_errors.ts";
import type { ProjectRate } from "../telemetry/top_projects.ts";
import type { MetricsReader } from "../telemetry/registry.ts";

/** Life of a node, in order. */
export type NodePhase = "starting" | "ready" | "unready" | "draining";

/** What only the control plane knows. */
export interface NodeFacts {
  readonly version: string;
  readonly mode: string;
  readonly upstream: string;
  /** Endpoints of all upstreams. */
  readonly endpoints: readonly EndpointStatus[];
  /** Null without a backlog. */
  readonly drain: Drain | null;
  readonly lanes: number;
  readonly phase: NodePhase;
  /** Why the node is not ready; empty when it is. */
  readonly problems: readonly string[];
  /** What goes wrong without keeping the node from traffic. */
  readonly notes: readonly string[];
  /** State of the registration at the upstream; `null` in modes that need none. */
  readonly registration: "unregistered" | "registered" | "renewing" | "denied" | null;
  readonly uptimeSeconds: number;
  readonly topProjects: readonly ProjectRate[];
  /** Newest first. */
  readonly errors: readonly RecentError[];
}

/** Counts since the start of the process unless the name says otherwise. */
export interface NodeStatus extends NodeFacts {
  readonly requests: number;
  readonly requestsInFlight: number;
  /** Requests answered with a status of 400 or above. */
  readonly refused: number;
  /** By status and route, most first. */
  readonly refusals: readonly { status: number; route: string; count: number }[];
  /** Of the upstream that is worst off. */
  readonly upstreamState: "up" | "failing" | "down";
  readonly accepted: number;
  /** Public keys by what the project cache knows of them (mode `managed`). */
  readonly projects: { readonly enabled: number; readonly disabled: number; readonly pending: number };
  readonly spool: { readonly waiting: number; readonly bytes: number; readonly bytesMax: number };
  readonly forward: {
    readonly delivered: number;
    readonly failed: number;
    readonly inFlight: number;
    readonly connections: number;
    /** Lanes that hold the upstream for down. */
    readonly outage: number;
    readonly deadLetters: number;
  };
  /** Quantities that did not reach the upstream, largest first. */
  readonly drops: readonly { outcome: string; reason: string; category: string; quantity: number }[];
}

const DROPS_MAX = 20;
const REFUSALS_MAX = 12;

/** Puts the facts and the counters together. */
export function nodeStatus(facts: NodeFacts, metrics: MetricsReader): NodeStatus {
  const refusals = [...metrics.series(METRICS.requests)]
    .map(({ labels, values }) => ({ status: Number(labels.status), route: labels.route!, count: values[0]! }))
    .filter(({ status }) => status >= 400)
    .sort((a, b) => b.count - a.count);
  const delivered = metrics.read(METRICS.forwarded, "delivered");
  const drops = [...metrics.series(METRICS.outcomes)]
    .filter(({ labels }) => labels.outcome !== "accepted")
    .map(({ labels, values }) => ({
      outcome: labels.outcome!,
      reason: labels.reason!,
      category: labels.category!,
      quantity: values[0]!,
    }))
    .sort((a, b) => b.quantity - a.quantity);
  return {
    ...facts,
    requests: metrics.total(METRICS.requests),
    requestsInFlight: metrics.read(METRICS.requestsInFlight),
    refused: refusals.reduce((sum, { count }) => sum + count, 0),
    refusals: refusals.slice(0, REFUSALS_MAX),
    upstreamState: upstreamState(metrics),
    accepted: metrics.read(METRICS.envelopesAccepted),
    projects: {
      enabled: metrics.read(METRICS.projectsCached, "enabled"),
      disabled: metrics.read(METRICS.projectsCached, "disabled"),
      pending: metrics.read(METRICS.projectsCached, "pending"),
    },
    spool: {
      waiting: metrics.read(METRICS.spoolWaiting),
      bytes: metrics.read(METRICS.spoolBytes),
      bytesMax: metrics.read(METRICS.spoolBytesMax),
    },
    forward: {
      delivered,
      failed: metrics.total(METRICS.forwarded) - delivered,
      inFlight: metrics.read(METRICS.forwardInFlight),
      connections: metrics.read(METRICS.upstreamConnections),
      outage: metrics.read(METRICS.upstreamOutage),
      deadLetters: metrics.read(METRICS.deadLetters),
    },
    drops: drops.slice(0, DROPS_MAX),
  };
}

/** State of the upstream that is worst off. */
export function upstreamState(metrics: MetricsReader): NodeStatus["upstreamState"] {
  if (metrics.read(METRICS.upstreamOutage) > 0) return "down";
  return metrics.read(METRICS.upstreamFailing) > 0 ? "failing" : "up";
}
