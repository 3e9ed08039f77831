/**
 * How many requests are being read or answered: in total, per address and per project, over all lanes.
 *
 * Every lane counts in cells of its own, and limits look at the sum. So a lane that died takes its counts along: its
 * replacement starts with cells set to zero. A count that was evicted starts again at zero, and leaving never goes below.
 */
import { SharedTable, type Visit } from "../core/shared_table.ts";

/** Bounds; `null` for none. */
export interface FlightLimits {
  readonly total: number | null;
  readonly perAddress: number | null;
  readonly perProject: number | null;
}

/** Memory that all lanes share. */
export interface FlightBuffers {
  readonly totals: SharedArrayBuffer;
  readonly addresses: SharedArrayBuffer;
  readonly projects: SharedArrayBuffer;
}

/** Addresses and projects with requests in flight are few; twice as many entries as requests are more than enough. */
const ENTRIES = 16_384;

/** Which bound was reached. */
export type FlightBound = "total" | "address" | "project";

/** A lane's view. */
export class RequestsInFlight {
  readonly #totals: Int32Array;
  readonly #addresses: SharedTable;
  readonly #projects: SharedTable;
  readonly #lane: number;

  /** @param isFirst whether nothing of this lane is under way yet */
  constructor(
    private readonly buffers: FlightBuffers,
    lane: number,
    private readonly limits: FlightLimits,
    isFirst = true,
  ) {
    this.#totals = new Int32Array(buffers.totals);
    this.#addresses = SharedTable.attach(buffers.addresses);
    this.#projects = SharedTable.attach(buffers.projects);
    this.#lane = lane;
    if (!isFirst) return;
    Atomics.store(this.#totals, lane, 0);
    this.#addresses.clearCell(lane);
    this.#projects.clearCell(lane);
  }

  /** The same counts under other bounds. A request leaves by the view it entered by, which knows where it counted it. */
  withLimits(limits: FlightLimits): RequestsInFlight {
    return new RequestsInFlight(this.buffers, this.#lane, limits, false);
  }

  /** Memory for so many lanes. */
  static createBuffers(lanes: number): FlightBuffers {
    const table = (): SharedArrayBuffer => SharedTable.create({ entries: ENTRIES, cells: lanes }).buffer;
    return { totals: new SharedArrayBuffer(lanes * 4), addresses: table(), projects: table() };
  }

  /**
   * Counts a request in, or says which bound it would break and counts nothing. What was counted must be given to
   * {@link RequestsInFlight.leave}, with the same keys.
   *
   * @param address empty for a client that is not counted by address
   * @param project empty for a request that names none
   */
  enter(address: string, project: string, nowMs: number): FlightBound | null {
    const { total, perAddress, perProject } = this.limits;
    if (total !== null && this.#total() >= total) return "total";
    const byAddress = perAddress !== null && address !== "";
    if (byAddress && this.#addresses.update(address, nowMs, this.#in, perAddress) < 0) return "address";
    if (
      perProject !== null && project !== "" && this.#projects.update(project, nowMs, this.#in, perProject) < 0
    ) {
      if (byAddress) this.#addresses.visit(address, nowMs, this.#out);
      return "project";
    }
    Atomics.add(this.#totals, this.#lane, 1);
    return null;
  }

  /** Counts a request out. */
  leave(address: string, project: string): void {
    const { perAddress, perProject } = this.limits;
    Atomics.sub(this.#totals, this.#lane, 1);
    if (perAddress !== null && address !== "") this.#addresses.visit(address, 0, this.#out);
    if (perProject !== null && project !== "") this.#projects.visit(project, 0, this.#out);
  }

  #total(): number {
    let sum = 0;
    for (let lane = 0; lane < this.#totals.length; lane++) sum += Atomics.load(this.#totals, lane);
    return sum;
  }

  readonly #in: Visit = (cells, at, max) => {
    let sum = 0;
    for (let lane = 0; lane < this.#totals.length; lane++) sum += cells[at + lane]!;
    if (sum >= max) return -1;
    return cells[at + this.#lane] = cells[at + this.#lane]! + 1;
  };

  readonly #out: Visit = (cells, at) => cells[at + this.#lane] = Math.max(0, cells[at + this.#lane]! - 1);
}
