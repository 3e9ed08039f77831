/** A node at a glance, as text for a terminal. */
import type { NodeStatus } from "../admin/node_status.ts";
import { alignedRows, counted, printable, readableAge, readableSize } from "./readable.ts";

/** Rates between two looks, per second. */
export interface StatusRates {
  readonly requests: number;
  readonly refused: number;
  readonly delivered: number;
}

const ENDPOINTS_MAX = 4;
const PROJECTS_MAX = 5;
const DROPS_MAX = 4;

/** One line that says how the node is. */
export function stateLine(status: NodeStatus): string {
  const { phase, problems, upstreamState, drain } = status;
  if (phase === "unready") return `not ready: ${problems.join(", ")}`;
  if (phase !== "ready") return phase;
  if (upstreamState !== "up") return `ready, upstream ${upstreamState}`;
  if (drain === null) return "ready";
  const left = drain.secondsLeft === null
    ? "it does not shrink"
    : `gone in ${readableAge(drain.secondsLeft * 1000)}`;
  return `ready, catching up: ${left}`;
}

/** The screen; every line at most `columns` long. */
export function statusScreen(
  status: NodeStatus,
  columns: number,
  rates: StatusRates | null = null,
): string[] {
  const { forward, spool } = status;
  const share = (100 * spool.bytes / spool.bytesMax).toFixed(1);
  const perSecond = (rate: number | undefined): string => rate === undefined ? "" : `  ${rate.toFixed(1)}/s`;
  const lanes = counted(status.lanes, "lane");
  const lines = [
    `Landfall ${status.version}  ${status.mode} mode  ${lanes}  up ${
      readableAge(status.uptimeSeconds * 1000)
    }`,
    `State      ${stateLine(status)}`,
    `Upstream   ${status.upstream}`,
    `Requests   ${status.requests}${perSecond(rates?.requests)}, refused ${status.refused}${
      perSecond(rates?.refused)
    }, in flight ${status.requestsInFlight}`,
    `Forwarded  ${forward.delivered}${
      perSecond(rates?.delivered)
    }, failed ${forward.failed}, dead ${forward.deadLetters}`,
    `Spool      ${spool.waiting} waiting, ${readableSize(spool.bytes)} of ${
      readableSize(spool.bytesMax)
    } (${share} %)`,
    ...status.notes.map((note) => `Note       ${note}`),
    "",
    ...section(
      ["ENDPOINT", "STATE", "ANSWERED", "FAILED", "MEAN"],
      status.endpoints.slice(0, ENDPOINTS_MAX).map(({ endpoint, state, answered, failed, answerMs }) => [
        endpoint,
        state,
        String(answered),
        String(failed),
        answered === 0 ? "-" : `${(answerMs / answered).toFixed(1)} ms`,
      ]),
    ),
    ...section(
      ["PROJECT", "ACCEPTED/s", "REFUSED/s"],
      status.topProjects.slice(0, PROJECTS_MAX).map(({ project, accepted, refused }) => [
        project,
        accepted.toFixed(1),
        refused.toFixed(1),
      ]),
    ),
    ...section(
      ["DID NOT REACH THE UPSTREAM", "REASON", "CATEGORY", "QUANTITY"],
      status.drops.slice(0, DROPS_MAX).map(({ outcome, reason, category, quantity }) => [
        outcome,
        reason,
        category,
        String(quantity),
      ]),
    ),
  ];
  return lines.map((line) => printable(line).slice(0, columns));
}

function section(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return rows.length === 0 ? [] : [...alignedRows([heading, ...rows]).trimEnd().split("\n"), ""];
}
