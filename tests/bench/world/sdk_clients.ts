/** Real SDKs in all places of the world: see `world.mjs`, which this starts. */
import { installSdkClients } from "../../support/sdk_clients.ts";
import { TEST_ROOT } from "../../support/test_certificate.ts";
import { Child } from "../support/contender.ts";
import type { Sent } from "./raw_client.ts";

/** Longer than the SDK's transport keeps a connection, so that the first event after it opens one. */
const PAUSE_MS = 2600;

/** Each client sends two events per round, the first over a new connection. @returns what each of them saw, in order */
export async function sendWithSdk(dsns: readonly string[], rounds: number): Promise<Sent[][]> {
  const { folder } = await installSdkClients();
  const child = new Child("node", [`${folder}/world.mjs`]);
  const line = await child.ask(JSON.stringify({ dsns, ca: TEST_ROOT, rounds, pauseMs: PAUSE_MS }));
  await child.ended();
  return JSON.parse(line);
}
