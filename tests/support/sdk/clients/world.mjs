/**
 * Current Node SDK in many places at once: one client per DSN, each with the transport it has by default. Reads one line of
 * JSON, `{dsns, ca, rounds, pauseMs}`; in each round, after a pause, every client captures two exceptions, one after the other.
 * Prints per DSN what its transport saw: `{id, ms, isNew}`, `id` null when the answer was not 200, `isNew` for the first
 * of a round. The default transport keeps an idle connection for two seconds.
 */
import { createInterface } from "node:readline";
import {
  defaultStackParser,
  makeNodeTransport,
  NodeClient,
  Scope,
} from "@sentry/node";

// Each client listens for the end of the process.
process.setMaxListeners(0);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { dsns, ca, rounds, pauseMs } = JSON.parse((await lines.next()).value);

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function watched(seen) {
  return (options) => {
    const transport = makeNodeTransport(options);
    const send = async (envelope) => {
      const startedMs = performance.now();
      const answer = await transport.send(envelope).catch(() => ({}));
      const id = answer.statusCode === 200 ? envelope[0].event_id : null;
      seen.push({ id, ms: performance.now() - startedMs });
      return answer;
    };
    return { ...transport, send };
  };
}

async function capture(dsn, index) {
  const seen = [];
  const client = new NodeClient({
    dsn,
    release: "checkout@1.2.3",
    environment: "production",
    integrations: [],
    stackParser: defaultStackParser,
    sendClientReports: false,
    transportOptions: { caCerts: [ca] },
    transport: watched(seen),
  });
  client.init();
  const scope = new Scope();
  scope.setClient(client);
  // Cities do not all speak at the same moment.
  await pause(pauseMs * index / dsns.length);
  for (let round = 0; round < rounds; round++) {
    for (const isNew of [true, false]) {
      client.captureException(
        new TypeError("the cart is not iterable"),
        {},
        scope,
      );
      await client.flush(10_000);
      Object.assign(seen.at(-1), { isNew });
    }
    await pause(pauseMs);
  }
  await client.close(1_000);
  return seen;
}

const seen = await Promise.all(dsns.map(capture));
// More than a pipe takes at once: the end must not come before it is out.
process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit(0));
