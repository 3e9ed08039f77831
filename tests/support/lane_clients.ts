/** Connections to a node with two lanes of which is known where they lead. */
import { assertEquals } from "@std/assert";
import { TEST_KEY } from "./node_process.ts";
import { RawHttp, requestBytes } from "./raw_http.ts";
import type { ScriptedUpstream } from "./scripted_upstream.ts";
import { until } from "./until.ts";

/** What has to be known of the node. */
export interface LaneNode {
  readonly folder: string;
  readonly port: number;
}

/** Connections of which is known to which of two lanes they go. */
export class LaneClients implements Disposable {
  readonly #clients: { readonly client: RawHttp; readonly lane: number }[] = [];

  /** Connects so often, and on until both lanes have some: shows by an event where each leads. */
  static async connect(node: LaneNode, count: number): Promise<LaneClients> {
    const clients = new LaneClients();
    while (clients.#clients.length < count || clients.of(0).length < 2 || clients.of(1).length < 2) {
      const before = bytesIn(node, "p0");
      const client = await RawHttp.connect(node.port);
      await client.send(eventRequest("hello")).catch(() => {});
      const answer = await client.response();
      if (answer === null) {
        // A lane that dies takes the connections with it that it was given.
        client[Symbol.dispose]();
        continue;
      }
      assertEquals(answer.status, 200);
      clients.#clients.push({ client, lane: bytesIn(node, "p0") > before ? 0 : 1 });
    }
    return clients;
  }

  of(lane: number): RawHttp[] {
    return this.#clients.filter((other) => other.lane === lane).map(({ client }) => client);
  }

  [Symbol.dispose](): void {
    for (const { client } of this.#clients) client[Symbol.dispose]();
  }
}

/** Fills the dead letters of a node whose upstream refuses everything. */
export function deadLetterFiller({ node, upstream, clients, bytesMax }: {
  readonly node: LaneNode;
  readonly upstream: ScriptedUpstream;
  readonly clients: LaneClients;
  readonly bytesMax: number;
}) {
  let sent = clients.of(0).length + clients.of(1).length;
  const dead = (lane: number): number => bytesIn(node, `p${lane}/dead`);
  /** Sends to a lane until its dead letter has so many bytes; all together never have more than they may. */
  const fill = async (lane: number, bytes: number): Promise<void> => {
    const client = clients.of(lane)[0]!;
    while (dead(lane) < bytes) {
      for (let count = 0; count < 8; count++) await client.send(eventRequest("x".repeat(4000)));
      for (let count = 0; count < 8; count++) assertEquals((await client.response())?.status, 200);
      sent += 8;
      await upstream.until(() => upstream.requests.length >= sent, 30_000);
      // Files come and go between two looks at them.
      await until("all are within the bound", () => dead(0) + dead(1) <= bytesMax);
    }
  };
  return { fill, dead };
}

/** A request with one event, for a connection that stays. */
export function eventRequest(message: string): Uint8Array {
  const body = `{"event_id":"${newEventId()}"}\n{"type":"event"}\n${JSON.stringify({ message })}\n`;
  return requestBytes("POST", `/api/1/envelope/?sentry_key=${TEST_KEY}`, {}, body);
}

/** As SDKs make them. */
export function newEventId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** Bytes of segments in a partition of the node's spool. */
export function bytesIn(node: Pick<LaneNode, "folder">, partition: string): number {
  const folder = `${node.folder}/spool/${partition}`;
  const segments = [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".seg"));
  return segments.reduce((sum, { name }) => sum + bytesOf(`${folder}/${name}`), 0);
}

/** A segment may be deleted once it was listed. */
function bytesOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
