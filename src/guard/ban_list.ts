/**
 * The ban list of a node: who is banned, until when and why; kept by the control plane.
 *
 * Why a file: a flood does not end because a node restarts. The file is replaced as a whole whenever the list has
 * changed, so it is written at most as often as {@link BanList.tick} is called; one that cannot be read is left out,
 * with a warning, because a node without bans is better than no node.
 *
 * Time: while the node runs, a ban ends by the monotonic clock, so a wall clock that jumps moves no ban. The file holds
 * wall-clock times, and no ban read from it lasts longer than it was meant to.
 *
 * Limits: `bansMax` entries. When there is no room, rules ban only for the lanes' table, and operators are told.
 */
import { addressKey } from "../core/address_key.ts";
import { CidrSet, parseIp } from "../core/cidr.ts";
import type { Clock } from "../core/clock.ts";
import { logger } from "../telemetry/log.ts";
import { type BanBuffers, BanTable, type RuleBan } from "./ban_table.ts";

const log = logger("guard");

/** Where the list is kept. */
export interface BanFile {
  /** The text, or `null` when there is none. */
  read(): Promise<string | null>;
  /** Replaces it as a whole, durably. */
  write(text: string): Promise<void>;
}

/** An entry as operators see it. */
export interface Ban {
  /** Address, or for IPv6 the network of 64 bits. */
  readonly address: string;
  /** Wall clock, ms since the epoch. */
  readonly untilMs: number;
  readonly reason: string;
}

interface Entry {
  readonly reason: string;
  /** Monotonic. */
  readonly endsMs: number;
}

interface StoredBan extends Ban {
  readonly banMs: number;
}

/** An entry that cannot be made. The message says why. */
export class BanError extends Error {
  override readonly name = "BanError";
}

/** Longest ban, so that a mistake is not for ever. */
export const BAN_MS_MAX: number = 366 * 86_400_000;

/** Options of {@link BanList}. */
export interface BanListOptions {
  readonly buffers: BanBuffers;
  readonly file: BanFile;
  readonly clock: Clock;
  readonly bansMax: number;
  /** Never banned. */
  readonly trustedProxies: readonly string[];
}

/** Owner of the bans. */
export class BanList {
  #o: BanListOptions;
  #table: BanTable;
  #trusted: CidrSet;
  readonly #entries = new Map<string, Entry>();
  #isChanged = false;
  #writing: Promise<void> | null = null;

  private constructor(options: BanListOptions) {
    this.#o = options;
    this.#table = new BanTable(options.buffers);
    this.#trusted = CidrSet.parse([...options.trustedProxies]);
  }

  /** The list as the last run left it. Never rejects. */
  static async open(options: BanListOptions): Promise<BanList> {
    const list = new BanList(options);
    try {
      const text = await options.file.read();
      for (const ban of text === null ? [] : parseStored(text)) list.#restore(ban);
    } catch (error) {
      log.warn("the ban list could not be read, nobody is banned: {error}", { error });
    }
    return list;
  }

  /** Goes by other bounds, and moves to other memory if there is any; whoever is banned stays so. */
  configure(settings: Pick<BanListOptions, "buffers" | "bansMax" | "trustedProxies">): void {
    const isMoving = settings.buffers !== this.#o.buffers;
    this.#o = { ...this.#o, ...settings };
    this.#trusted = CidrSet.parse([...settings.trustedProxies]);
    if (!isMoving) return;
    this.#table = new BanTable(settings.buffers);
    const [now, wall] = [this.#o.clock.monotonic(), this.#o.clock.now()];
    for (const [address, { endsMs }] of this.#entries) this.#table.add(address, wall + endsMs - now, wall);
  }

  /** Number of bans. */
  get size(): number {
    return this.#entries.size;
  }

  /** All bans, those that end first in front. */
  all(): Ban[] {
    const { clock } = this.#o;
    const [now, wall] = [clock.monotonic(), clock.now()];
    return [...this.#entries].map(([address, { reason, endsMs }]) => ({
      address,
      untilMs: Math.round(wall + endsMs - now),
      reason,
    })).filter(({ untilMs }) => untilMs > wall).sort((a, b) => a.untilMs - b.untilMs);
  }

  /**
   * Bans an address at once, or changes how long it is banned.
   *
   * @throws {BanError} it is no address, a trusted proxy's, or there is no room
   */
  add(address: string, banMs: number, reason: string): Ban {
    const key = this.#keyOf(address);
    if (this.#trusted.has(plainOf(address))) throw new BanError(`${address} is a trusted proxy`);
    if (!(banMs > 0 && banMs <= BAN_MS_MAX)) throw new BanError("a ban lasts from 1 ms to 366 days");
    if (!this.#put(key, banMs, reason)) {
      throw new BanError(`there is no room for more than ${this.#o.bansMax} bans`);
    }
    return { address: key, untilMs: this.#o.clock.now() + banMs, reason };
  }

  /**
   * Ends a ban; false when there is none.
   *
   * @throws {BanError} it is no address
   */
  remove(address: string): boolean {
    const key = this.#keyOf(address);
    const wasHeld = this.#table.remove(key);
    const wasListed = this.#entries.delete(key);
    if (wasListed) this.#isChanged = true;
    return wasListed || wasHeld;
  }

  /** Takes over what a rule in a lane did. */
  takeOver({ address, banMs, reason }: RuleBan): void {
    log.warn("{address} is banned for {seconds} s: {reason}", { address, seconds: banMs / 1000, reason });
    this.#put(address, banMs, reason);
  }

  /** Ends what is over, and writes the list down if it has changed. */
  tick(): void {
    const now = this.#o.clock.monotonic();
    for (const [address, { endsMs }] of this.#entries) {
      if (endsMs > now) continue;
      this.#entries.delete(address);
      this.#table.remove(address);
      this.#isChanged = true;
    }
    if (this.#isChanged) this.#writing ??= this.#write().finally(() => this.#writing = null);
  }

  /** Resolves when the file holds the list. */
  async close(): Promise<void> {
    while (this.#isChanged || this.#writing) {
      this.tick();
      await this.#writing;
    }
  }

  async #write(): Promise<void> {
    this.#isChanged = false;
    const now = this.#o.clock.monotonic();
    const bans = this.all().map((ban): StoredBan => ({
      ...ban,
      banMs: this.#entries.get(ban.address)!.endsMs - now,
    }));
    try {
      await this.#o.file.write(JSON.stringify({ version: 1, bans }));
    } catch (error) {
      log.error("the ban list could not be written: {error}", { error });
    }
  }

  #put(key: string, banMs: number, reason: string): boolean {
    const { clock, bansMax } = this.#o;
    if (this.#entries.size >= bansMax && !this.#entries.has(key)) return false;
    const nowMs = clock.now();
    this.#table.add(key, nowMs + banMs, nowMs);
    this.#entries.set(key, {
      reason: reason.slice(0, REASON_CHARACTERS_MAX),
      endsMs: clock.monotonic() + banMs,
    });
    this.#isChanged = true;
    return true;
  }

  #restore({ address, untilMs, banMs, reason }: StoredBan): void {
    const leftMs = Math.min(untilMs - this.#o.clock.now(), banMs, BAN_MS_MAX);
    if (leftMs > 0) this.#put(address, leftMs, reason);
  }

  #keyOf(address: string): string {
    const plain = plainOf(address);
    if (parseIp(plain) === null) {
      throw new BanError(`not an address: ${JSON.stringify(address.slice(0, 64))}`);
    }
    return addressKey(plain);
  }
}

/** The address in an entry as the list shows it. */
function plainOf(address: string): string {
  return address.endsWith("::/64") ? address.slice(0, -3) : address;
}

const REASON_CHARACTERS_MAX = 200;

function parseStored(text: string): StoredBan[] {
  const { bans } = JSON.parse(text) as { bans?: unknown };
  if (!Array.isArray(bans)) throw new SyntaxError("no list of bans");
  return bans.filter((ban: Partial<StoredBan> | null): ban is StoredBan =>
    typeof ban?.address === "string" && typeof ban.untilMs === "number" && typeof ban.banMs === "number" &&
    typeof ban.reason === "string"
  );
}
