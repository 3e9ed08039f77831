/**
 * How many connections there are, in all and per address; exposure `internet`.
 *
 * Why per address: connections cost descriptors and memory before a request says who it is, and one client could hold all
 * of them. An IPv6 client counts by its network of 64 bits. Trusted proxies carry many clients and are not bounded.
 *
 * The total is this listener's own; numbers per address are shared by all lanes. When the table of addresses is full, the
 * one least recently connected starts again at zero. When a lane starts, all do: its predecessor's connections ended
 * without being counted.
 */
import { addressKey } from "../core/address_key.ts";
import type { CidrSet } from "../core/cidr.ts";
import type { Clock } from "../core/clock.ts";
import { SharedTable, type Visit } from "../core/shared_table.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";

/** Shared memory of all gates of a node. */
export interface ConnectionCounts {
  readonly table: SharedArrayBuffer;
  /** Number of lanes started so far; counts made before the last start are void. */
  readonly epoch: SharedArrayBuffer;
}

/** Counts for a node that holds up to about `connections`. */
export function createConnectionCounts(connections: number): ConnectionCounts {
  const entries = Math.min(ENTRIES_MAX, Math.max(ENTRIES_MIN, 2 * connections));
  return { table: SharedTable.create({ entries, cells: 2 }).buffer, epoch: new SharedArrayBuffer(4) };
}

const ENTRIES_MIN = 1024;
const ENTRIES_MAX = 131_072;

/** What a {@link ConnectionGate} goes by; read at use, and may change, but for `counts`. */
export interface ConnectionBounds {
  readonly connectionsMax: number;
  readonly perAddressMax: number;
  readonly counts: ConnectionCounts;
  /** Addresses that are not bounded. */
  readonly exempt: CidrSet | null;
}

/** Options of {@link ConnectionGate}. */
export interface ConnectionGateOptions {
  readonly bounds: ConnectionBounds;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Why a connection was refused; values of the metric's label. */
export type ConnectionRefusal = "total" | "address" | "proxy_header" | "tls";

const claim: Visit = (cells, at, epoch) => {
  if (cells[at + 1] !== epoch) cells[at] = 0;
  cells[at + 1] = epoch;
  return ++cells[at]!;
};

const release: Visit = (cells, at, epoch) => {
  if (cells[at + 1] === epoch && cells[at]! > 0) cells[at]!--;
  return 0;
};

/** Counts the connections of one listener. */
export class ConnectionGate {
  readonly #o: ConnectionGateOptions;
  readonly #table: SharedTable;
  readonly #epoch: Int32Array;
  #open = 0;

  constructor(options: ConnectionGateOptions) {
    this.#o = options;
    this.#table = SharedTable.attach(options.bounds.counts.table);
    this.#epoch = new Int32Array(options.bounds.counts.epoch);
    Atomics.add(this.#epoch, 0, 1);
  }

  /** Takes one more connection, to be given back with {@link ConnectionGate.close}; false when there are too many. */
  open(): boolean {
    if (this.#open >= this.#o.bounds.connectionsMax) {
      this.refused("total");
      return false;
    }
    this.#open++;
    this.#o.metrics.add(METRICS.connections, 1);
    return true;
  }

  /** Gives an open connection back. */
  close(): void {
    this.#open--;
    this.#o.metrics.add(METRICS.connections, -1);
  }

  /**
   * Counts an open connection for its client. Returns what gives the place back, to be called once; null when the client
   * has too many.
   */
  claim(address: string): (() => void) | null {
    const { bounds: { exempt, perAddressMax }, clock } = this.#o;
    if (exempt?.has(address)) return unbounded;
    const key = addressKey(address);
    const epoch = Atomics.load(this.#epoch, 0);
    const held = this.#table.update(key, clock.monotonic(), claim, epoch);
    const giveBack = (): void => void this.#table.visit(key, clock.monotonic(), release, epoch);
    if (held <= perAddressMax) return giveBack;
    giveBack();
    this.refused("address");
    return null;
  }

  /** Counts a connection that ended before it could carry a request. */
  refused(reason: ConnectionRefusal): void {
    this.#o.metrics.add(METRICS.connectionsRefused, 1, reason);
  }
}

function unbounded(): void {}
