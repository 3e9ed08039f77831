/**
 * Redis or Valkey as the store that nodes share quotas through.
 *
 * A window is a hash with a field per node; what is left of it expires by itself. The client is loaded when a node has a
 * store, so that no other node pays for it. It neither queues nor reconnects by itself: whoever asked tries again. A
 * handshake that does not end is given up by the client itself, after five seconds.
 */
import type { QuotaStore } from "./quota_exchange.ts";

const PREFIX = "landfall:quota:";

/**
 * Connects to `redis://[user:password@]host[:port][/db]`, or with TLS to `rediss://`.
 *
 * @param ca certificates to trust beside the usual ones, PEM
 * @param signal gives up, however far it got; only while it connects
 */
export async function openRedisStore(
  url: string,
  ca: string | null,
  signal: AbortSignal,
): Promise<QuotaStore> {
  const { createClient } = await import("@redis/client");
  const client = createClient({
    url,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    socket: { reconnectStrategy: false, ...ca !== null && { tls: true, ca } },
  });
  const close = (): void => {
    if (client.isOpen) client.destroy();
  };
  // What goes wrong rejects the call it concerns, or the next one.
  client.on("error", () => {});
  signal.addEventListener("abort", close);
  try {
    await client.connect();
    signal.throwIfAborted();
  } catch (error) {
    close();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
  }
  return {
    async exchange(sums) {
      const batch = client.multi();
      for (const { name, field, quantity, keepMs } of sums) {
        batch.hSet(PREFIX + name, field, quantity).pExpire(PREFIX + name, keepMs).hVals(PREFIX + name);
      }
      const answers: unknown[] = await batch.execAsPipeline();
      return sums.map((_, index) => sumOf(answers[3 * index + 2]));
    },
    close,
  };
}

function sumOf(values: unknown): number {
  return (values as string[]).reduce((sum, value) => sum + Number(value), 0);
}
