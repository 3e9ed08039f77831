/** Debian's redis-server for tests, on a free port of the loopback interface, without files. */
import { report } from "./report.ts";
import { until } from "./until.ts";

const PROGRAM = "/usr/bin/redis-server";

/** Password of every server. */
export const REDIS_PASSWORD = "hidden-password";

/** Whether there is one on this machine. */
export const HAS_REDIS = await Deno.stat(PROGRAM).then(() => true, () => false);
if (!HAS_REDIS) report(`Quotas shared through Redis are not tested: there is no ${PROGRAM}`);

/** Files of a certificate and its key, PEM. */
export interface RedisCertificate {
  readonly certificatePath: string;
  readonly keyPath: string;
}

/** A running server. */
export class RedisServer {
  private constructor(
    readonly port: number,
    readonly process: Deno.ChildProcess,
    readonly scheme: "redis" | "rediss",
  ) {}

  /**
   * @param port 0 for any
   * @param tls speaks nothing but TLS, with this certificate
   */
  static async start(port = 0, tls: RedisCertificate | null = null): Promise<RedisServer> {
    if (port === 0) {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      port = listener.addr.port;
      listener.close();
    }
    const ports = tls === null ? ["--port", `${port}`] : [
      ...["--port", "0", "--tls-port", `${port}`, "--tls-auth-clients", "no"],
      ...["--tls-cert-file", tls.certificatePath, "--tls-key-file", tls.keyPath],
      ...["--tls-ca-cert-file", tls.certificatePath],
    ];
    const args = [...ports, "--bind", "127.0.0.1", "--save", "", "--requirepass", REDIS_PASSWORD];
    const process = new Deno.Command(PROGRAM, { args, stdout: "null", stderr: "null" }).spawn();
    await until("redis-server listens", async () => {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return true;
      } catch {
        return false;
      }
    });
    return new RedisServer(port, process, tls === null ? "redis" : "rediss");
  }

  get url(): string {
    return this.urlWith(REDIS_PASSWORD);
  }

  /** URL of its database 3 for who says this password. */
  urlWith(password: string, host = "127.0.0.1"): string {
    return `${this.scheme}://:${password}@${host}:${this.port}/3`;
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
