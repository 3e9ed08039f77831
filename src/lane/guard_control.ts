/**
 * The control plane's side of the guard: the memory its lanes share, the ban list, and the figures operators see.
 */
import type { Clock } from "../core/clock.ts";
import type { Config } from "../config/config.ts";
import { zoneName } from "../config/guard_kind.ts";
import { type Ban, BanList } from "../guard/ban_list.ts";
import { BanTable, type RuleBan } from "../guard/ban_table.ts";
import { memoryBytesMax, memoryPressure } from "../guard/memory_pressure.ts";
import { PressureCells } from "../guard/pressure_cells.ts";
import { RateZone, type RateZoneSpec, ZONE_RESULTS } from "../guard/rate_zone.ts";
import { RequestsInFlight } from "../guard/requests_in_flight.ts";
import { type Storage, StorageError } from "../spool/storage.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics, MetricsReader, Series } from "../telemetry/registry.ts";
import type { GuardBuffers, GuardOptions } from "./build_guard.ts";

/** File of the ban list, in the folder of the spool. */
const BAN_FILE = "bans.json";

/** The guard of a node. */
export class GuardControl {
  readonly buffers: GuardBuffers;
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #zones: readonly RateZone[];
  readonly #pressure: PressureCells;
  readonly #memoryBytesMax: number | null;
  #bans: BanList | null = null;

  constructor(config: Config, clock: Clock, reader: MetricsReader) {
    const { guard, lanes, health } = config;
    this.#config = config;
    this.#clock = clock;
    this.#pressure = PressureCells.create(lanes);
    this.#memoryBytesMax = memoryBytesMax(health);
    this.buffers = {
      zones: guard.zones.map((zone) => RateZone.createBuffers(zone)),
      inFlight: RequestsInFlight.createBuffers(lanes),
      bans: BanTable.createBuffers(guard.bansMax),
      pressure: this.#pressure.buffer,
    };
    this.#zones = zoneSpecs(config).map((zone, index) => new RateZone(zone, this.buffers.zones[index]!));
    this.#collect(reader);
  }

  /** Reads the bans of the last run; the folder of the spool must be ours. */
  async start(storage: Storage): Promise<void> {
    const path = `${this.#config.spool.envelopes.path}/${BAN_FILE}`;
    this.#bans = await BanList.open({
      buffers: this.buffers.bans,
      file: {
        read: () => readText(storage, path),
        write: (text) => storage.replaceFile(path, new TextEncoder().encode(text)),
      },
      clock: this.#clock,
      bansMax: this.#config.guard.bansMax,
      trustedProxies: this.#config.listener.trustedProxies,
    });
  }

  /** Bans, those that end first in front. */
  bans(): Ban[] {
    return this.#bans?.all() ?? [];
  }

  /** @throws {BanError} */
  ban(address: string, banMs: number, reason: string): Ban {
    return this.#bans!.add(address, banMs, reason);
  }

  /** @throws {BanError} */
  unban(address: string): boolean {
    return this.#bans!.remove(address);
  }

  /** A rule in a lane banned somebody. */
  takeOver(ban: RuleBan): void {
    this.#bans?.takeOver(ban);
  }

  /** Whether the process uses more memory than it may. */
  get isOutOfMemory(): boolean {
    return this.#pressure.memory >= 1;
  }

  /** Looks at memory and bans, and sets the gauges. @param spoolShare how full the spool is, 0 to 1 */
  observe(metrics: Metrics, spoolShare: number): void {
    this.#bans?.tick();
    const memory = this.#pressure.memory = memoryPressure(this.#memoryBytesMax);
    const eventLoop = this.#pressure.eventLoopMax;
    metrics.set(METRICS.pressure, memory, "memory");
    metrics.set(METRICS.pressure, eventLoop, "event_loop");
    metrics.set(METRICS.pressure, spoolShare, "spool");
    metrics.set(METRICS.pressure, Math.max(memory, eventLoop, spoolShare), "highest");
    metrics.set(METRICS.guardBans, this.#bans?.size ?? 0);
  }

  /** Adds the metrics of the zones, by name. */
  #collect(reader: MetricsReader): void {
    const each = (value: (zone: RateZone) => number) => (): Series[] =>
      this.#zones.map((zone) => ({ labels: { zone: zone.spec.name }, values: [value(zone)] }));
    reader.collect(METRICS.guardZoneKeys, each(({ used }) => used));
    reader.collect(METRICS.guardZoneEvictions, each(({ evictions }) => evictions));
    reader.collect(METRICS.guardZone, () =>
      this.#zones.flatMap((zone) =>
        ZONE_RESULTS.map((result) => ({
          labels: { zone: zone.spec.name, result: zone.spec.dryRun ? `${result}_dry_run` : result },
          values: [zone.noted(result)],
        }))
      ));
  }

  /** Resolves when the bans are on disk. */
  async close(): Promise<void> {
    await this.#bans?.close();
  }
}

/** What the configuration says about the guard of every lane. */
export function guardOptions(config: Config, buffers: GuardBuffers): GuardOptions {
  const { guard } = config;
  return {
    buffers,
    zones: zoneSpecs(config),
    inFlight: {
      total: guard.requestsMax,
      perAddress: guard.requestsPerAddress,
      perProject: guard.requestsPerProject,
    },
    banRules: guard.bans.map(({ on, refusals, within, ban }) => ({
      on,
      refusals,
      withinMs: within,
      banMs: ban,
    })),
    allow: guard.allow,
    deny: guard.deny,
    heldMax: guard.heldMax,
    shedding: {
      bulkyFrom: guard.shed.bulkyFrom,
      costlyFrom: guard.shed.costlyFrom,
      everythingFrom: guard.shed.everythingFrom,
      eventLoopDelayMs: guard.shed.eventLoopDelay,
    },
  };
}

function zoneSpecs({ guard }: Config): RateZoneSpec[] {
  return guard.zones.map((zone) => ({ ...zone, name: zoneName(zone) }));
}

async function readText(storage: Storage, path: string): Promise<string | null> {
  try {
    return new TextDecoder().decode(await storage.readFile(path));
  } catch (error) {
    if (StorageError.isNotFound(error)) return null;
    throw error;
  }
}
