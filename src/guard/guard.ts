/**
 * The guard: what a request has to pass before anything is spent on it.
 *
 * Why first: a flood is borne by refusing it for less than accepting it would cost, before its body is read, and by not
 * letting it take what others need. So the guard looks at the head alone, keeps a few numbers per client in tables that all
 * lanes share (`core/shared_table.ts`), and sends no message but when a rule bans somebody.
 *
 * Order: allowed (passes on to the counts), denied (403), banned (403), rate zones (429, or held back), requests in flight
 * (503 for the node's bound, 429 for one client's), overload (429). Health checks never come here.
 *
 * Who is who: a client is its address, for IPv6 its network of 64 bits. Only trusted proxies are believed about whom they
 * forward for, and the address of such a proxy itself is nobody's: requests known by no other address are in no
 * zone, no count and no ban of addresses, because those would hit everybody behind the proxy.
 *
 * Limits: all tables have a fixed number of entries; when one is full, the least recently used is forgotten, and
 * with it what was known against a client.
 *
 * Layout: `rate_zone.ts`, `requests_in_flight.ts`, `access_list.ts`, `ban_table.ts` are the checks, `ban_list.ts` is the
 * control plane's side of bans, `load_shedding.ts` decides what an overloaded node gives up. The guard decides; the
 * listener words the answers.
 */
import type { Offence } from "../config/guard_kind.ts";
import { addressKey } from "../core/address_key.ts";
import type { Clock } from "../core/clock.ts";
import type { RateLimitScope } from "../protocol/rate_limit.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import type { AccessList } from "./access_list.ts";
import type { BanTable, RuleBan } from "./ban_table.ts";
import type { LoadShedding } from "./load_shedding.ts";
import type { RateZone } from "./rate_zone.ts";
import { projectIdOf, projectKeyOf, type RequestHead, zoneKey } from "./request_keys.ts";
import type { RequestsInFlight } from "./requests_in_flight.ts";

/** Why the guard refuses. */
export type GuardReason = "denied" | "banned" | "rate_zone" | "in_flight" | "overload";

/** A request that is refused. */
export interface Refusal {
  readonly kind: "refused";
  readonly status: 403 | 429 | 503;
  readonly reason: GuardReason;
  /** Seconds after which it is worth trying again; `null` with 403 and 503. */
  readonly retrySeconds: number | null;
  /** Whom the limit holds for. */
  readonly scope: RateLimitScope;
}

/** A request that may go on. It is counted as in flight until it is given to {@link Guard.leave}. */
export interface Passage {
  readonly kind: "passed";
  /** Time to hold the request back first, ms. */
  readonly delayMs: number;
  /** As in tables; empty for a client that has no address of its own. */
  readonly address: string;
  /** Empty when the request names none. */
  readonly projectId: string;
  /** Where it is counted. */
  readonly inFlight: RequestsInFlight;
}

/** Client of a request, as far as its peer is to be believed. */
export interface GuardClient {
  readonly address: string;
  /** False for the address of a trusted proxy. */
  readonly isForeign: boolean;
}

/** What a {@link Guard} goes by; replaced as a whole when the configuration changes. */
export interface GuardRules {
  readonly allow: AccessList;
  readonly deny: AccessList;
  readonly bans: BanTable;
  readonly zones: readonly RateZone[];
  readonly inFlight: RequestsInFlight;
  /** Requests held back at once; further ones are refused. */
  readonly heldMax: number;
}

/** Options of {@link Guard}. */
export interface GuardOptions extends GuardRules {
  readonly shedding: LoadShedding;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** A rule banned a client; the ban holds already. */
  onBan(ban: RuleBan): void;
}

/** How long a client that has too many requests in flight is told to wait, s. */
const IN_FLIGHT_RETRY_SECONDS = 1;
const OVERLOAD_RETRY_SECONDS = 10;

const refusal = (
  status: Refusal["status"],
  reason: GuardReason,
  retrySeconds: number | null = null,
  scope: RateLimitScope = "organization",
): Refusal => ({ kind: "refused", status, reason, retrySeconds, scope });

const DENIED = refusal(403, "denied");
const BANNED = refusal(403, "banned");
const NODE_IS_FULL = refusal(503, "in_flight");
const ADDRESS_IS_FULL = refusal(429, "in_flight", IN_FLIGHT_RETRY_SECONDS);
const PROJECT_IS_FULL = refusal(429, "in_flight", IN_FLIGHT_RETRY_SECONDS, "project");
const OVERLOADED = refusal(429, "overload", OVERLOAD_RETRY_SECONDS);

/** The guard of a lane. */
export class Guard {
  #o: GuardOptions;
  #hasLists = false;
  #hasKeyLists = false;
  #held = 0;

  constructor(options: GuardOptions) {
    this.#o = options;
    this.replace(options);
  }

  /** Goes by other rules from now on. Requests that have passed stay counted where they are. */
  replace(rules: GuardRules): void {
    this.#o = { ...this.#o, ...rules };
    const { allow, deny } = rules;
    this.#hasLists = !allow.isEmpty || !deny.isEmpty;
    this.#hasKeyLists = allow.hasKeys || deny.hasKeys;
  }

  /** Decides about a request. */
  admit(request: RequestHead, client: GuardClient): Refusal | Passage {
    const nowMs = this.#o.clock.now();
    const address = client.isForeign ? addressKey(client.address) : "";
    const verdict = this.#decide(request, client.address, address, nowMs);
    if (verdict.kind === "refused") {
      this.#o.metrics.add(METRICS.guardRefused, 1, verdict.reason);
      if (verdict.reason === "rate_zone") this.offend(address, "rate");
    }
    return verdict;
  }

  /** A request that had passed was answered, or its client is gone; called once. */
  leave({ inFlight, address, projectId }: Passage): void {
    inFlight.leave(address, projectId);
  }

  /** Counts something a client was refused for; rules may ban it. */
  offend(address: string, offence: Offence): void {
    if (address === "") return;
    const ban = this.#o.bans.offend(address, offence, this.#o.clock.now());
    if (ban) this.#o.onBan(ban);
  }

  /** Waits for as long as a request is held back; no longer than until `signal` aborts. */
  async hold({ delayMs }: Passage, signal: AbortSignal | null): Promise<void> {
    const { clock, metrics } = this.#o;
    metrics.set(METRICS.guardHeld, ++this.#held);
    await clock.sleep(delayMs, signal ?? undefined);
    metrics.set(METRICS.guardHeld, --this.#held);
  }

  #decide(request: RequestHead, plainAddress: string, address: string, nowMs: number): Refusal | Passage {
    let isAllowed = false;
    if (this.#hasLists) {
      const { allow, deny } = this.#o;
      const key = this.#hasKeyLists ? projectKeyOf(request) : "";
      const userAgent = request.header("user-agent");
      isAllowed = allow.has(plainAddress, key, userAgent);
      if (!isAllowed && deny.has(plainAddress, key, userAgent)) return DENIED;
    }
    if (isAllowed) return this.#count(request, address, nowMs, 0);
    if (address !== "" && this.#o.bans.has(address, nowMs)) return BANNED;
    const delayMs = this.#passZones(request, address, nowMs);
    return typeof delayMs === "number" ? this.#count(request, address, nowMs, delayMs) : delayMs;
  }

  #count(request: RequestHead, address: string, nowMs: number, delayMs: number): Refusal | Passage {
    const { inFlight, shedding } = this.#o;
    if (shedding.level() === 3) return OVERLOADED;
    const projectId = projectIdOf(request);
    switch (inFlight.enter(address, projectId, nowMs)) {
      case "total":
        return NODE_IS_FULL;
      case "address":
        return ADDRESS_IS_FULL;
      case "project":
        return PROJECT_IS_FULL;
      case null:
        return { kind: "passed", delayMs, address, projectId, inFlight };
    }
  }

  /** How long the request is to be held back, or its refusal. */
  #passZones(request: RequestHead, address: string, nowMs: number): number | Refusal {
    const { zones } = this.#o;
    let longestMs = 0;
    // In a zone that only counts, or for a lone zone, looking and adding are one step; see `rate_zone.ts`.
    const isLone = zones.length === 1;
    for (let index = 0; index < zones.length; index++) {
      const zone = zones[index]!;
      const key = zoneKey(zone.spec.key, request, address);
      if (key === "") continue;
      const isTaken = isLone || zone.spec.dryRun;
      const excess = isTaken ? zone.take(key, nowMs) : zone.excess(key, nowMs);
      if (zone.refuses(excess)) {
        zone.note("refused");
        if (!zone.spec.dryRun) return this.#zoneRefusal(zone, zone.retrySeconds(excess));
      } else if (isTaken) longestMs = Math.max(longestMs, this.#delayOf(zone, excess));
    }
    if (!isLone) {
      for (let index = 0; index < zones.length; index++) {
        const zone = zones[index]!;
        const key = zone.spec.dryRun ? "" : zoneKey(zone.spec.key, request, address);
        if (key !== "") longestMs = Math.max(longestMs, this.#delayOf(zone, zone.take(key, nowMs)));
      }
    }
    if (longestMs > 0 && this.#held >= this.#o.heldMax) {
      return refusal(429, "rate_zone", Math.max(1, Math.ceil(longestMs / 1000)));
    }
    return longestMs;
  }

  #delayOf(zone: RateZone, excess: number): number {
    const delayMs = zone.delayMs(excess);
    if (delayMs > 0) zone.note("delayed");
    return zone.spec.dryRun ? 0 : delayMs;
  }

  #zoneRefusal({ spec: { key } }: RateZone, retrySeconds: number): Refusal {
    const scope = key.includes("project_key")
      ? "key"
      : key.includes("project_id")
      ? "project"
      : "organization";
    return refusal(429, "rate_zone", retrySeconds, scope);
  }
}
