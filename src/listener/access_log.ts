/**
 * The access log of a lane: a line for each answer, handed over in shared memory.
 *
 * Nothing here waits: while whoever writes the lines does not keep up, those that do not fit are dropped, and counted.
 */
import type { Clock } from "../core/clock.ts";
import { maskAddress } from "../core/redact_text.ts";
import type { SharedRing } from "../core/shared_ring.ts";
import { totalQuantities } from "../protocol/item_type.ts";
import { AccessLineBuilder } from "../telemetry/access_line.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import type { Metrics } from "../telemetry/registry.ts";
import { plainAddress } from "./client_address.ts";
import type { IncomingRequest } from "./incoming_request.ts";

/** Of a line at most; each of its fields is bounded. */
const LINE_BYTES_MAX = 8192;
const REFUSED_FROM = 400;

/** Options of {@link AccessLog}. */
export interface AccessLogOptions {
  readonly lane: number;
  readonly ring: SharedRing;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Read at each use. */
  readonly rules: {
    readonly isOn: boolean;
    /** Share of the requests that were not refused. */
    readonly sample: number;
    readonly masksAddresses: boolean;
  };
  /** The organisation a key belongs to, if that is known. */
  organizationOf(key: string): string | null;
}

/** Writes the lines of one lane. */
export class AccessLog {
  readonly #o: AccessLogOptions;
  readonly #lines = new AccessLineBuilder();
  readonly #buffer = new Uint8Array(LINE_BYTES_MAX);
  readonly #encoder = new TextEncoder();
  /** Share of a line that is due; a line is written at each whole. */
  #due = 0;

  constructor(options: AccessLogOptions) {
    this.#o = options;
  }

  /** A request was answered. */
  answered(request: IncomingRequest, status: number): void {
    if (!this.#isWanted(status)) return;
    const { clock, lane, organizationOf } = this.#o;
    const { key } = request;
    const quantities = request.quantities ?? (request.items ? totalQuantities(request.items) : []);
    this.#write({
      timeMs: clock.now(),
      method: request.method,
      route: request.route,
      path: request.path,
      status,
      reason: status < REFUSED_FROM ? null : request.reason,
      bytes: request.bodyBytes,
      elapsedMs: clock.monotonic() - request.startedMs,
      client: request.client?.address ?? plainAddress(request.peer),
      projectId: request.projectId,
      key,
      organizationId: (key === "" ? null : organizationOf(key)) ?? request.organizationId,
      categories: quantities.map(([category]) => category).join(","),
      agent: request.header("user-agent"),
      lane,
      eventId: request.eventId,
    });
  }

  /** Something was refused before it was a request. */
  unparsed(status: number, peer: string): void {
    if (!this.#isWanted(status)) return;
    this.#write({
      timeMs: this.#o.clock.now(),
      method: "-",
      route: "other",
      path: "",
      status,
      reason: null,
      bytes: 0,
      elapsedMs: 0,
      client: plainAddress(peer),
      projectId: "",
      key: "",
      organizationId: null,
      categories: "",
      agent: null,
      lane: this.#o.lane,
      eventId: null,
    });
  }

  #isWanted(status: number): boolean {
    const { isOn, sample } = this.#o.rules;
    if (!isOn) return false;
    if (status >= REFUSED_FROM) return true;
    this.#due += sample;
    if (this.#due < 1) return false;
    this.#due -= 1;
    return true;
  }

  #write(record: Parameters<AccessLineBuilder["build"]>[0]): void {
    const client = this.#o.rules.masksAddresses ? maskAddress(record.client) : record.client;
    const line = this.#lines.build(client === record.client ? record : { ...record, client });
    const { read, written } = this.#encoder.encodeInto(line, this.#buffer);
    if (read < line.length || !this.#o.ring.push(this.#buffer.subarray(0, written))) return;
    this.#o.metrics.add(METRICS.accessLines);
  }
}
