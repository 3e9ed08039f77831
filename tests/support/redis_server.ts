/** Debian's redis-server for tests, on a free port of the loopback interface, without files. */
import { report } from "./report.ts";
import { until } from "./until.ts";

const PROGRAM = "/usr/bin/redis-server";

/** Whether there is one on this machine. */
export const HAS_REDIS = await Deno.stat(PROGRAM).then(() => true, () => false);
if (!HAS_REDIS) report(`Quotas shared through Redis are not tested: there is no ${PROGRAM}`);

/** A running server. */
export class RedisServer {
  private constructor(readonly port: number, readonly process: Deno.ChildProcess) {}

  /** @param port 0 for any */
  static async start(port = 0): Promise<RedisServer> {
    if (port === 0) {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      port = listener.addr.port;
      listener.close();
    }
    const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--requirepass", "hidden"];
    const process = new Deno.Command(PROGRAM, { args, stdout: "null", stderr: "null" }).spawn();
    await until("redis-server listens", async () => {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return true;
      } catch {
        return false;
      }
    });
    return new RedisServer(port, process);
  }

  get url(): string {
    return `redis://:hidden@127.0.0.1:${this.port}/3`;
  }

  async kill(): Promise<void> {
    try {
      this.process.kill("SIGKILL");
    } catch {
      // It is gone already.
    }
    await this.process.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
