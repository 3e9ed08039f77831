/** The guard of an ingest half, from its options. */
import type { CidrSet } from "../core/cidr.ts";
import type { Clock } from "../core/clock.ts";
import { AccessList, type AccessListSpec } from "../guard/access_list.ts";
import { type BanBuffers, type BanRule, BanTable, type RuleBan } from "../guard/ban_table.ts";
import { Guard, type GuardRules } from "../guard/guard.ts";
import { LoadShedding, type SheddingSpec } from "../guard/load_shedding.ts";
import { PressureCells } from "../guard/pressure_cells.ts";
import { RateZone, type RateZoneSpec, type ZoneBuffers } from "../guard/rate_zone.ts";
import { type FlightBuffers, type FlightLimits, RequestsInFlight } from "../guard/requests_in_flight.ts";
import type { OutcomeLedger } from "../outcomes/outcome_ledger.ts";
import { RequestGate } from "../listener/request_gate.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";

/** Memory of the guard that all lanes and the control plane share. */
export interface GuardBuffers {
  /** In the order of the zones. */
  readonly zones: readonly ZoneBuffers[];
  readonly inFlight: FlightBuffers;
  readonly bans: BanBuffers;
  readonly pressure: SharedArrayBuffer;
}

/** What the guard of a lane is made from. */
export interface GuardOptions {
  readonly buffers: GuardBuffers;
  readonly zones: readonly RateZoneSpec[];
  readonly inFlight: FlightLimits;
  readonly banRules: readonly BanRule[];
  readonly allow: AccessListSpec;
  readonly deny: AccessListSpec;
  readonly heldMax: number;
  readonly shedding: SheddingSpec;
}

/** What a half needs besides. */
export interface GuardDeps {
  readonly lane: number;
  readonly exposure: "internet" | "load_balancer";
  readonly trustedProxies: CidrSet | null;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly ledger: OutcomeLedger;
  projectIdOfKey(key: string): string | null;
  onBan(ban: RuleBan): void;
}

/** A lane's gate, and what decides about shedding; that has to be closed. */
export interface LaneGuard {
  readonly gate: RequestGate;
  readonly shedding: LoadShedding;
  /** Goes by other rules from now on; what is under way and was counted stays so. */
  configure(options: GuardOptions): void;
}

/** Makes the guard of a lane. */
export function buildGuard(o: GuardOptions, deps: GuardDeps): LaneGuard {
  const { lane, exposure, trustedProxies, clock, metrics, onBan } = deps;
  const { buffers } = o;
  const shedding = new LoadShedding({
    spec: o.shedding,
    cells: new PressureCells(buffers.pressure),
    lane,
    clock,
    onDelay: (lateMs) => metrics.observe(METRICS.eventLoopDelay, lateMs / 1000, "ingest"),
  });
  const inFlight = new RequestsInFlight(buffers.inFlight, lane, o.inFlight);
  const guard = new Guard({ ...rulesOf(o, inFlight), shedding, clock, metrics, onBan });
  void shedding.watch();
  const gate = new RequestGate({
    guard,
    trustedProxies,
    closesBanned: exposure === "internet",
    clock,
    ledger: deps.ledger,
    projectIdOfKey: deps.projectIdOfKey,
  });
  return {
    gate,
    shedding,
    configure(next) {
      shedding.replace(next.shedding);
      guard.replace(rulesOf(next, inFlight.withLimits(next.inFlight)));
    },
  };
}

function rulesOf(o: GuardOptions, inFlight: RequestsInFlight): GuardRules {
  return {
    allow: new AccessList(o.allow),
    deny: new AccessList(o.deny),
    bans: new BanTable(o.buffers.bans, o.banRules),
    zones: o.zones.map((spec, index) => new RateZone(spec, o.buffers.zones[index]!)),
    inFlight,
    heldMax: o.heldMax,
  };
}
