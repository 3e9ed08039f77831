/** What a tap shows of an envelope on its way. Plain data: halves post it. */

/** Which envelopes a tap wants; absent: any. */
export interface TapFilter {
  readonly id: number;
  readonly project?: string;
  /** Public key. */
  readonly key?: string;
  /** Type of an item it holds. */
  readonly item?: string;
  readonly outcome?: string;
  readonly event?: string;
  /** Whether payloads are wanted, too. */
  readonly bodies: boolean;
}

/** An item of an envelope. */
export interface TappedItem {
  readonly type: string;
  readonly bytes: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** The start of it, if payloads are wanted and held. */
  readonly payload?: string;
}

interface Tapped {
  readonly lane: number;
  /** Wall clock. */
  readonly atMs: number;
  readonly project: string;
  readonly key: string;
  readonly event: string | null;
}

/** One step of an envelope. */
export type TapEvent =
  /** A client was answered; `tookMs` is policy and disk. */
  | Tapped & {
    readonly stage: "answered";
    readonly outcome: "accepted" | "rate_limited" | "invalid";
    readonly reason: string | null;
    readonly tookMs: number;
    readonly headers: Readonly<Record<string, unknown>>;
    readonly items: readonly TappedItem[];
  }
  /** It is sent upstream, so long after it was received. */
  | Tapped & { readonly stage: "forwarding"; readonly waitedMs: number; readonly attempt: number }
  /** How that ended. */
  | Tapped & {
    readonly stage: "forwarded";
    readonly outcome: "delivered" | "rate_limited" | "rejected" | "server_error" | "network_error" | "lost";
    readonly status: number | null;
    readonly message: string | null;
    readonly tookMs: number;
    /** Whether it is tried again. */
    readonly isRetried: boolean;
  };

/** Whether a tap wants to see a step. */
export function isWanted(filter: TapFilter, event: TapEvent): boolean {
  const { project, key, item, outcome, event: id } = filter;
  if (project !== undefined && project !== event.project) return false;
  if (key !== undefined && key !== event.key) return false;
  if (id !== undefined && id !== event.event) return false;
  if (outcome !== undefined && (event.stage === "forwarding" || outcome !== event.outcome)) return false;
  return item === undefined || event.stage === "answered" && event.items.some(({ type }) => type === item);
}
