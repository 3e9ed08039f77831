/**
 * The guard at the door of the application: which requests it sees, and how its refusals are worded.
 *
 * Refusals of ingestion look as a Relay's (ingestion reference, sections 5.3 and 5.5), because SDKs act on them.
 */
import type { Offence } from "../config/guard_kind.ts";
import { addressKey } from "../core/address_key.ts";
import type { CidrSet } from "../core/cidr.ts";
import type { Clock } from "../core/clock.ts";
import type { Guard, Refusal } from "../guard/guard.ts";
import { categoryOfPath, projectIdOf, projectKeyOf } from "../guard/request_keys.ts";
import type { OutcomeLedger } from "../outcomes/outcome_ledger.ts";
import { formatRateLimits } from "../protocol/rate_limit.ts";
import { type Answer, jsonAnswer } from "./answer.ts";
import { clientAddress, plainAddress } from "./client_address.ts";
import type { IncomingRequest } from "./incoming_request.ts";
import { LIMITED_BODY } from "./refusals.ts";

const FORBIDDEN = jsonAnswer(403, `{"detail":"access denied"}`);
const FULL = jsonAnswer(503, `{"detail":"the service is overloaded"}`);

/** Options of {@link RequestGate}. */
export interface RequestGateOptions {
  readonly guard: Guard;
  /** Proxies whose word about the client is taken; null for none. */
  readonly trustedProxies: CidrSet | null;
  /** Whether the connection of a banned client ends with its refusal. */
  readonly closesBanned: boolean;
  readonly clock: Clock;
  readonly ledger: OutcomeLedger;
  /** The project a key belongs to, if its state is known; else null. */
  projectIdOfKey(key: string): string | null;
}

/** A refusal ready to be sent. */
export interface TurnedAway {
  readonly answer: Answer;
  /** The body is not worth reading, and the connection ends. */
  readonly closing: boolean;
  /** Whether it goes to an SDK. */
  readonly isIngestion: boolean;
}

/** {@link Guard} as the application uses it. */
export class RequestGate {
  readonly #o: RequestGateOptions;

  constructor(options: RequestGateOptions) {
    this.#o = options;
  }

  /** Lets a request through, which then has a passage; or says how it is turned away. */
  check(request: IncomingRequest): TurnedAway | null {
    if (isProbe(request.path)) return null;
    const { guard, trustedProxies, closesBanned } = this.#o;
    const verdict = guard.admit(request, clientAddress(request, trustedProxies));
    if (verdict.kind === "passed") {
      request.passage = verdict;
      return null;
    }
    const projectId = projectIdOf(request);
    request.reason = verdict.reason;
    request.projectId = projectId;
    const isIngestion = projectId !== "" || request.path === "/api/store/";
    if (isIngestion) this.#account(request, verdict, projectId);
    const closing = verdict.reason === "banned" && closesBanned;
    return { answer: this.#wording(verdict), closing, isIngestion };
  }

  /** Waits if the request is to be held back; no longer than its client does, where that is known. */
  hold(request: IncomingRequest): Promise<void> | null {
    const { passage } = request;
    if (passage === null || passage.delayMs === 0) return null;
    return this.#o.guard.hold(passage, request.unreadSignal);
  }

  /** What a peer sent was refused before it was a request, so all that is known of the client is the peer. */
  refusedUnparsed(status: number, peer: string): void {
    const { guard, trustedProxies } = this.#o;
    const address = plainAddress(peer);
    const offence = OFFENCE_OF.get(status);
    if (offence && !trustedProxies?.has(address)) guard.offend(addressKey(address), offence);
  }

  /** A request was answered. @param isOwn whether the answer is this node's, not the upstream's */
  answered(request: IncomingRequest, status: number, isOwn: boolean): void {
    const { passage } = request;
    if (passage === null) return;
    request.passage = null;
    const { guard } = this.#o;
    guard.leave(passage);
    // Who lost its connection offended nobody.
    const offence = isOwn && status >= 400 && !request.isCutOff ? OFFENCE_OF.get(status) : undefined;
    if (offence) guard.offend(passage.address, offence);
  }

  /**
   * Nobody has looked at what was in it, so all that is known of it is its path. SDKs do not report what is answered with
   * 429, so this node does; but only for keys that are known to exist, or a flood would become a flood of reports.
   */
  #account(request: IncomingRequest, { status, reason }: Refusal, projectId: string): void {
    const { ledger, projectIdOfKey } = this.#o;
    const quantities = [[categoryOfPath(request.path), 1]] as const;
    const outcome = status === 403 ? "abuse" : "rate_limited";
    const key = status === 429 ? projectKeyOf(request) : "";
    if (key !== "" && projectId !== "" && projectIdOfKey(key) === projectId) {
      ledger.count({ key, projectId }, outcome, reason, quantities);
    } else ledger.countHere(outcome, reason, quantities);
  }

  #wording({ status, reason, retrySeconds, scope }: Refusal): Answer {
    if (status === 403) return FORBIDDEN;
    if (status === 503 || retrySeconds === null) return FULL;
    const now = this.#o.clock.now();
    const limit = { categories: [], scope, reason, namespaces: [], expiresAtMs: now + retrySeconds * 1000 };
    return jsonAnswer(429, LIMITED_BODY, {
      "retry-after": String(retrySeconds),
      "x-sentry-rate-limits": formatRateLimits([limit], now),
    });
  }
}

/** Health checks and what downstream relays probe during an outage. */
function isProbe(path: string): boolean {
  return path.startsWith("/api/relay/") || path === "/api/0/relays/live/";
}

const OFFENCE_OF: ReadonlyMap<number, Offence> = new Map([
  ...[400, 405, 411, 413, 414, 415, 417, 421, 422, 431].map((
    status,
  ): [number, Offence] => [status, "malformed"]),
  [401, "unauthorized"],
  [403, "unauthorized"],
  [404, "not_found"],
  [408, "timeout"],
]);
