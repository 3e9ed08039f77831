/**
 * Redis or Valkey as the store that nodes share quotas through.
 *
 * A window is a hash with a field per node; what is left of it expires by itself. The client is loaded when a node has a
 * store, so that no other node pays for it. It neither queues nor reconnects by itself: whoever asked tries again.
 */
import type { QuotaStore } from "./quota_exchange.ts";

const CONNECT_MS_MAX = 2000;
const PREFIX = "landfall:quota:";

/** Connects to `redis://[user:password@]host[:port][/db]`, or with TLS to `rediss://`. */
export async function openRedisStore(url: string): Promise<QuotaStore> {
  const { createClient } = await import("@redis/client");
  const client = createClient({
    url,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    socket: { reconnectStrategy: false, connectTimeout: CONNECT_MS_MAX },
  });
  // What goes wrong rejects the call it concerns, or the next one.
  client.on("error", () => {});
  await client.connect();
  return {
    async exchange(node, sums) {
      const batch = client.multi();
      for (const { name, quantity, keepMs } of sums) {
        batch.hSet(PREFIX + name, node, quantity).pExpire(PREFIX + name, keepMs).hVals(PREFIX + name);
      }
      const answers: unknown[] = await batch.execAsPipeline();
      return sums.map((_, index) => sumOf(answers[3 * index + 2]));
    },
    close: () => client.destroy(),
  };
}

function sumOf(values: unknown): number {
  return (values as string[]).reduce((sum, value) => sum + Number(value), 0);
}
