/**
 * What the control plane and the halves of a lane say to each other.
 *
 * Plain data only: the same messages cross a worker boundary in production and a function call in tests. Nothing here
 * is sent per envelope; what passes per envelope goes through the spool.
 */
import type { ProjectBytesBuffer } from "../spool/project_bytes.ts";
import type { Leftover } from "../spool/large_leftovers.ts";
import type { RuleBan } from "../guard/ban_table.ts";
import type { LogOptions } from "../telemetry/log.ts";
import type { ConnectionCounts } from "../listener/connection_gate.ts";
import type { ConnectionTimeouts } from "../listener/engine.ts";
import type { TlsMaterial } from "../listener/tls_material.ts";
import type { ItemLimits } from "../protocol/item_limits.ts";
import type { RateLimit } from "../protocol/rate_limit.ts";
import type { OutcomeSum } from "../outcomes/outcome_ledger.ts";
import type { GlobalConfig } from "../projects/global_config.ts";
import type { QuotaUsage } from "../projects/quotas/quota_counters.ts";
import type { ProjectChanges, ProjectSnapshot } from "../projects/project_table.ts";
import type { RelaySenders } from "../projects/sender_check.ts";
import type { RelayIdentity } from "../upstream/request_signer.ts";
import type { TapFilter } from "../telemetry/tap_event.ts";
import type { TapMessage, TappedMessage } from "./lane_tap.ts";
import type { RelayAnswerMessage, RelayQuestionMessage } from "./relay_desk.ts";
import type { GuardOptions } from "./build_guard.ts";
import type { UpstreamSnapshot } from "../upstream/upstream_spec.ts";
import type { SpoolAnswerMessage, SpoolTaskMessage } from "./spool_tasks.ts";

/** Which half of a lane. */
export type HalfKind = "ingest" | "forward";

/** What both halves need to start. Sizes in bytes, times in milliseconds. */
export interface CommonOptions {
  readonly lane: number;
  /** Version of the program. */
  readonly version: string;
  /** Folder of the lane's spool partition. */
  readonly partitionDir: string;
  readonly logging: LogOptions;
  /** Shared memory that takes what a half in a worker logs, see `log_ring.ts`. */
  readonly logRing: SharedArrayBuffer;
  /** Shared memory for lines of the access log. */
  readonly accessRing: SharedArrayBuffer;
  readonly projects: ProjectSnapshot;
  readonly senders: RelaySenders;
  /** Limits learned before this half started. */
  readonly limits: readonly LearnedLimits[];
  /**
   * Shared memory: positions of the partition, disk budget of the node, its permits for requests of this kind of half to the
   * upstream, counters of this half, state of the node.
   */
  readonly control: SharedArrayBuffer;
  readonly budget: SharedArrayBuffer;
  readonly permits: SharedArrayBuffer;
  /** Bytes of each project, shared by the node; null when a project may fill the spool. */
  readonly projectBytes: ProjectBytesBuffer | null;
  readonly metrics: SharedArrayBuffer;
  readonly nodeState: SharedArrayBuffer;
  /** Which projects send most to this lane; written by its ingest half. */
  readonly topProjects: SharedArrayBuffer;
  /** Taps that are open. */
  readonly taps: readonly TapFilter[];
  /** Counters of quotas, shared by the node. */
  readonly quotas: SharedArrayBuffer;
  /** Whether what was admitted by quotas is to be told. */
  readonly sharesQuotas: boolean;
  /** How outcomes are told to the upstream; `null`: they are not. */
  readonly reports: { readonly intervalMs: number } | null;
  readonly upstreams: UpstreamSnapshot;
  /** Health of endpoints, and by which index this half counts in it. */
  readonly health: { readonly buffer: SharedArrayBuffer; readonly writer: number };
}

/** Where an ingest half listens; 0 asks for any free port, and the lanes that follow get the same. */
export interface Ports {
  readonly plain: number;
  /** Null without TLS. */
  readonly tls: number | null;
}

/** Start of an ingest half. */
export interface IngestOptions extends CommonOptions {
  readonly segmentBytesMax: number;
  /** Bounds of what is acknowledged before it is on disk; `null`: nothing is. */
  readonly memoryAck: { readonly bytesMax: number; readonly delayMs: number } | null;
  /** Fill levels from which on categories are refused, as shares of the bound. */
  readonly shed: { readonly bulkyShare: number; readonly costlyShare: number; readonly projectShare: number };
  readonly guard: GuardOptions;
  readonly accessLog: { readonly isOn: boolean; readonly sample: number; readonly masksAddresses: boolean };
  readonly itemLimits: ItemLimits;
  readonly acceptUnknownItems: boolean;
  /** Whether the control plane answers relays downstream; otherwise their questions are passed on like all others. */
  readonly answersRelays: boolean;
  /** Requests that are passed on to the upstream while their clients wait. */
  readonly passing: {
    readonly connectTimeoutMs: number;
    readonly timeoutMs: number;
    /** Of the whole node; lanes share them. */
    readonly requestsMax: number;
    /** Of those, how many no other lane gets. */
    readonly permitFloor: number;
    /** Whether the upstream's API is reached through the node. */
    readonly isForwarding: boolean;
    readonly payloadBytesMax: number;
    readonly fileUploadBytesMax: number;
    readonly chunkUploadBytesMax: number;
  };
  readonly listener: {
    readonly exposure: "internet" | "load_balancer";
    readonly hostname: string;
    readonly port: number;
    readonly trustedProxies: readonly string[];
    readonly envelopeBytesMax: number;
    readonly uploadBytesMax: number;
    readonly bodyMemoryBytesMax: number;
    readonly backlog: number;
    readonly connectionsMax: number;
    readonly connectionsPerAddress: number;
    /** Connections per address, of all lanes. */
    readonly connectionCounts: ConnectionCounts;
    /** Whether trusted proxies begin their connections with a PROXY header. */
    readonly isProxied: boolean;
    /** Second port, with TLS. */
    readonly tls: { readonly port: number; readonly material: TlsMaterial } | null;
    readonly hosts: readonly string[];
    readonly hstsMaxAgeSeconds: number | null;
    /** Bounds of slow bodies, see `body_pace.ts`. */
    readonly pace: {
      readonly timeoutMs: number;
      readonly bytesPerSecondMin: number;
      readonly requestTimeoutMs: number;
    };
    readonly timeouts: ConnectionTimeouts;
    /** Whether several lanes share the port. */
    readonly reusePort: boolean;
    /** False when the health routes live on an internal listener. */
    readonly healthRoutes: boolean;
    readonly tunnel: {
      readonly path: string;
      readonly hosts: readonly string[];
      readonly projectIds: readonly string[];
    } | null;
  };
}

/** Start of a forward half. */
export interface ForwardOptions extends CommonOptions {
  /** What the dead letters of all lanes hold, see `dead_letter_share.ts`. */
  readonly deadLetters: SharedArrayBuffer;
  /** Large bodies that lay in the partition when the node started. */
  readonly leftovers: readonly Leftover[];
  readonly checkpointIntervalMs: number;
  readonly freshMs: number;
  readonly backlogShare: number;
  /** Of all lanes together. */
  readonly deadLetterBytesMax: number;
  readonly recordAgeMsMax: number;
  /** Largest envelope once decoded. */
  readonly bodyBytesMax: number;
  readonly upstream: {
    readonly identity: RelayIdentity | null;
    /** Whether records wait until a `hold` message says otherwise. */
    readonly isHeld: boolean;
    readonly connectTimeoutMs: number;
    readonly totalTimeoutMs: number;
    /** Of the whole node; lanes share them. */
    readonly maxConcurrent: number;
    /** Of those, how many no other lane gets. */
    readonly permitFloor: number;
    /** Most large records that a lane has under way at once. */
    readonly largeConcurrentMax: number;
    readonly retryDelayMs: number;
    readonly retryIntervalMsMax: number;
    readonly outageGraceMs: number;
    readonly answerBytesMax: number;
  };
}

/** What of an ingest half's options follows from the configuration; keys that need a restart have their old values. */
export type IngestSettings = Omit<IngestOptions, keyof CommonOptions>;

/** The same of a forward half. */
export type ForwardSettings = Omit<ForwardOptions, keyof CommonOptions | "deadLetters" | "leftovers">;

/** A new configuration for a half that runs; answered with `configured` once it is in force there. */
export type ConfigMessage =
  & { readonly type: "config"; readonly logging: CommonOptions["logging"] }
  & (
    | { readonly kind: "ingest"; readonly settings: IngestSettings }
    | { readonly kind: "forward"; readonly settings: ForwardSettings }
  );

/** Limits learned for one owner: a key, a project or an organisation. */
export interface LearnedLimits {
  /** As {@link RateLimitTable} names it. */
  readonly owner: string;
  readonly limits: readonly RateLimit[];
}

/** Control plane to half. */
export type ToHalf =
  | { readonly type: "start"; readonly kind: "ingest"; readonly options: IngestOptions }
  | { readonly type: "start"; readonly kind: "forward"; readonly options: ForwardOptions }
  | ConfigMessage
  | { readonly type: "projects"; readonly snapshot: ProjectSnapshot }
  | { readonly type: "upstreams"; readonly snapshot: UpstreamSnapshot }
  | { readonly type: "project_changes"; readonly changes: ProjectChanges }
  | { readonly type: "global"; readonly config: GlobalConfig }
  /** For forward halves: whether records may be sent. */
  | { readonly type: "hold"; readonly isHeld: boolean }
  | RelayAnswerMessage
  | ({ readonly type: "limits" } & LearnedLimits)
  /** To an ingest half: outcomes that it is to report, too. */
  | { readonly type: "outcomes"; readonly sums: readonly OutcomeSum[] }
  | SpoolTaskMessage
  | TapMessage
  /** Renewed certificates for new connections. */
  | { readonly type: "certificates"; readonly material: TlsMaterial }
  /** Finish what is in flight within `graceMs`, make everything durable, then answer `stopped`. */
  | { readonly type: "stop"; readonly graceMs: number };

/** Half to control plane. */
export type FromHalf =
  | { readonly type: "started"; readonly ports: Ports | null }
  | { readonly type: "failed"; readonly message: string }
  | ({ readonly type: "limits" } & LearnedLimits)
  /** A rule of the guard banned a client; the ban holds already. */
  | { readonly type: "banned"; readonly ban: RuleBan }
  /** Records wait for the states of these keys, or were taken without them; told again while that is so. */
  | { readonly type: "wanted"; readonly keys: readonly string[] }
  | RelayQuestionMessage
  /** What quotas admitted. */
  | { readonly type: "usage"; readonly usage: readonly QuotaUsage[] }
  /** Of a forward half, which cannot write to the spool. */
  | { readonly type: "outcomes"; readonly sums: readonly OutcomeSum[] }
  | SpoolAnswerMessage
  | TappedMessage
  | { readonly type: "configured" }
  | { readonly type: "stopped" };
