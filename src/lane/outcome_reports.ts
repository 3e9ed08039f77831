/**
 * Outcomes on their way: what a forward half counted goes to the control plane, which hands it to the ingest half of
 * the lane; there all of it becomes client reports, which are spooled and forwarded like any envelope.
 *
 * What was not reported when a half is killed is lost: at most one interval's sums. A drain reports everything.
 */
import type { Clock, Timer } from "../core/clock.ts";
import { clientReports } from "../outcomes/client_report.ts";
import type { OutcomeLedger } from "../outcomes/outcome_ledger.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import { SpoolError } from "../spool/spool_error.ts";
import { METRICS } from "../telemetry/catalogue.ts";

/** Address that stands for the node itself. */
const OWN_ADDRESS = "127.0.0.1";

/** Does something again and again, never twice at once. */
export class OutcomeTimer {
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(
    readonly clock: Clock,
    readonly intervalMs: number,
    readonly flush: () => void | Promise<void>,
  ) {
    this.#next();
  }

  /** The last time. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.flush();
  }

  /** No more, without a last time. */
  cancel(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #next(): void {
    this.#timer = this.clock.after(this.intervalMs, async () => {
      await this.flush();
      if (!this.#isClosed) this.#next();
    });
  }
}

/** Spools a client report for each project that something is to be told about. */
export async function spoolReports(
  ledger: OutcomeLedger,
  append: (meta: RequestMeta, body: readonly Uint8Array[]) => Promise<void>,
  { nowMs, version }: { readonly nowMs: number; readonly version: string },
): Promise<void> {
  const sums = ledger.take();
  for (const { key, projectId, body, quantity } of clientReports(sums, nowMs)) {
    try {
      await append(reportMeta(key, projectId, version), body);
      ledger.metrics.add(METRICS.outcomesReported, quantity);
    } catch (error) {
      if (!(error instanceof SpoolError)) throw error;
      // There is no room now; the sums wait for the next time.
      ledger.include(sums.filter((sum) => sum.key === key && sum.projectId === projectId));
    }
  }
}

function reportMeta(key: string, projectId: string, version: string): RequestMeta {
  return {
    projectId,
    key,
    version: 7,
    client: `landfall/${version}`,
    origin: null,
    remoteAddr: OWN_ADDRESS,
    forwardedFor: OWN_ADDRESS,
    userAgent: null,
    clientHints: null,
    noCache: false,
    contentEncoding: "",
    eventId: null,
    quantities: [],
    passthrough: null,
    isPoliced: true,
  };
}
