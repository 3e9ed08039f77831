/**
 * What a node tells the service manager that started it (`sd_notify`, `Type=notify` of systemd).
 *
 * Why: systemd then knows when a node takes traffic rather than when its process exists, and restarts one whose control
 * plane no longer turns. Limits: a message is one datagram and nobody waits for it; a manager that does not listen
 * changes nothing but a warning in the log. A sender needs a name, too: a file that is gone before the message is sent,
 * because Deno 2.4 has no abstract names (nor can it reach a manager that has one).
 */
import type { Clock, Timer } from "../core/clock.ts";
import { utf8 } from "../core/bytes.ts";
import { logger } from "../telemetry/log.ts";

const log = logger("node");

/** Sends one message to the socket at `path`. */
export type SendMessage = (path: string, message: string) => Promise<void>;

/** The manager of this process, or nobody. */
export class ServiceManager {
  #watchdog: Timer | null = null;
  #silent = false;

  /** @param env looks up `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` (sd_notify(3), sd_watchdog_enabled(3)) */
  constructor(
    private readonly env: (name: string) => string | undefined,
    private readonly clock: Clock,
    private readonly pid: number,
    private readonly send: SendMessage = sendDatagram,
  ) {}

  /** The node takes traffic. From now on it also says that it lives, twice within the time it is given. */
  ready(): void {
    this.#tell("READY=1\nSTATUS=Taking traffic");
    const everyMs = this.#watchdogMs() / 2;
    if (everyMs > 0) this.#keepAlive(everyMs);
  }

  /** The node began to stop. It goes on saying that it lives until {@link close}. */
  stopping(): void {
    this.#tell("STOPPING=1\nSTATUS=Finishing what was begun");
  }

  /** Says nothing any more. */
  close(): void {
    this.#watchdog?.cancel();
    this.#watchdog = null;
  }

  #keepAlive(everyMs: number): void {
    this.#watchdog = this.clock.after(everyMs, () => {
      this.#tell("WATCHDOG=1");
      this.#keepAlive(everyMs);
    });
  }

  /** Time within which the manager wants a sign of life, ms; 0 for never. */
  #watchdogMs(): number {
    const pid = this.env("WATCHDOG_PID");
    if (pid !== undefined && pid !== String(this.pid)) return 0;
    const ms = Number(this.env("WATCHDOG_USEC") ?? 0) / 1000;
    return ms >= 1 ? ms : 0;
  }

  #tell(message: string): void {
    const path = this.env("NOTIFY_SOCKET");
    if (!path) return;
    this.send(path.replace(/^@/, "\0"), message).catch((error) => {
      if (!this.#silent) log.warn("the service manager cannot be told anything: {error}", { error });
      this.#silent = true;
    });
  }
}

async function sendDatagram(path: string, message: string): Promise<void> {
  const own = `${Deno.env.get("TMPDIR") ?? "/tmp"}/landfall-${crypto.randomUUID()}.notify`;
  const socket = Deno.listenDatagram({ transport: "unixpacket", path: own });
  try {
    // The name is not needed to send, and so cannot be left behind by a process that ends meanwhile.
    Deno.removeSync(own);
    await socket.send(utf8(message), { transport: "unixpacket", path });
  } finally {
    socket.close();
  }
}
