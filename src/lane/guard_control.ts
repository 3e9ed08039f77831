/**
 * The control plane's side of the guard: the memory its lanes share, the ban list, and the figures operators see.
 */
import type { Clock } from "../core/clock.ts";
import type { Config } from "../config/config.ts";
import { zoneName } from "../config/guard_kind.ts";
import { type Ban, BanList, type BanListOptions } from "../guard/ban_list.ts";
import { BanTable, type RuleBan } from "../guard/ban_table.ts";
import { memoryBytesMax, memoryPressure } from "../guard/memory_pressure.ts";
import { PressureCells } from "../guard/pressure_cells.ts";
import { RateZone, type RateZoneSpec, ZONE_RESULTS, type ZoneBuffers } from "../guard/rate_zone.ts";
import { RequestsInFlight } from "../guard/requests_in_flight.ts";
import { type Storage, StorageError } from "../spool/storage.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics, MetricsReader, Series } from "../telemetry/registry.ts";
import type { GuardBuffers, GuardOptions } from "./build_guard.ts";

/** File of the ban list, in the folder of the spool. */
const BAN_FILE = "bans.json";

/** The guard of a node. */
export class GuardControl {
  /** Those of the configuration in force. */
  buffers: GuardBuffers;
  readonly #clock: Clock;
  readonly #pressure: PressureCells;
  #config: Config;
  #zones: readonly RateZone[] = [];
  #memoryBytesMax: number | null = null;
  #bans: BanList | null = null;

  constructor(config: Config, clock: Clock, reader: MetricsReader) {
    const { guard, lanes } = config;
    this.#config = config;
    this.#clock = clock;
    this.#pressure = PressureCells.create(lanes);
    this.buffers = {
      zones: [],
      inFlight: RequestsInFlight.createBuffers(lanes),
      bans: BanTable.createBuffers(guard.bansMax),
      pressure: this.#pressure.buffer,
    };
    this.configure(config);
    this.#collect(reader);
  }

  /** Takes over a changed configuration; lanes are to be told of {@link GuardControl.buffers}. */
  configure(config: Config): void {
    const { bansMax } = config.guard;
    const zones = zoneSpecs(config).map((spec): [RateZoneSpec, ZoneBuffers] => {
      const before = this.#zones.find((zone) => zone.spec.name === spec.name);
      return [spec, RateZone.createBuffers(spec, before)];
    });
    // Nobody loses a place, even when there are to be fewer.
    const bans = bansMax === this.#config.guard.bansMax
      ? this.buffers.bans
      : BanTable.createBuffers(Math.max(bansMax, this.#bans?.size ?? 0), this.buffers.bans);
    this.#config = config;
    this.#memoryBytesMax = memoryBytesMax(config.health);
    this.#zones = zones.map(([spec, buffers]) => new RateZone(spec, buffers));
    this.buffers = { ...this.buffers, zones: zones.map(([, buffers]) => buffers), bans };
    this.#bans?.configure(this.#banSettings);
  }

  get #banSettings(): Pick<BanListOptions, "buffers" | "bansMax" | "trustedProxies"> {
    const { guard, listener } = this.#config;
    return {
      buffers: this.buffers.bans,
      bansMax: guard.bansMax,
      trustedProxies: listener.trustedProxies,
    };
  }

  /** Reads the bans of the last run; the folder of the spool must be ours. */
  async start(storage: Storage): Promise<void> {
    const path = `${this.#config.spool.envelopes.path}/${BAN_FILE}`;
    this.#bans = await BanList.open({
      file: {
        read: () => readText(storage, path),
        write: (text) => storage.replaceFile(path, new TextEncoder().encode(text)),
      },
      clock: this.#clock,
      ...this.#banSettings,
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
    metrics.set(METRICS.memoryBytesMax, this.#memoryBytesMax ?? 0);
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
