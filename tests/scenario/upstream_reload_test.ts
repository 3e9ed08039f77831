/** A managed node that is sent to another upstream while it runs. */
import { assert, assertEquals } from "@std/assert";
import { generateCredentials, renderCredentials } from "../../src/config/credentials_file.ts";
import { EventLoad } from "../support/event_load.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { ScriptedSentry } from "../support/scripted_sentry.ts";
import { until } from "../support/until.ts";

Deno.test("upstream reload: a managed node registers at its new upstream before it sends there, and loses nothing", async () => {
  const credentials = generateCredentials();
  await using first = ScriptedSentry.start();
  await using second = ScriptedSentry.start();
  for (const sentry of [first, second]) {
    sentry.addProject(TEST_KEY, 1, { trustedRelays: [credentials.publicKey] });
  }
  await using node = await NodeProcess.start({
    upstream: first.url,
    config: { relay: { mode: "managed" }, cache: { batch_interval: "10ms" } },
    files: { "credentials.json": renderCredentials(credentials) },
  });
  const load = new EventLoad(node.url, 10);
  await until("the first gets events", () => first.upstream.requests.length > 20);
  const path = `${node.folder}/config.yml`;
  const config = JSON.parse(await Deno.readTextFile(path));
  config.relay.upstream = second.url;
  await Deno.writeTextFile(path, JSON.stringify(config));
  node.signal("SIGHUP");
  await until("the second gets events", () => second.upstream.requests.length > 20);
  // An envelope before the registration would be a violation at the upstream.
  assertEquals(second.calls.slice(0, 2).map(({ route }) => route), ["challenge", "response"]);
  await load.stop();
  assertEquals(load.failed, 0);
  const ids = [...load.acknowledged];
  assert(ids.length > 40, `${ids.length}`);
  const hasArrived = (id: string) => first.upstream.accepted(id) || second.upstream.accepted(id);
  await until("everything arrives", () => ids.every(hasArrived));
  const sent = first.upstream.requests.length;
  const more = new EventLoad(node.url, 10);
  await until("more is sent", () => more.acknowledged.size > 20);
  await more.stop();
  await until("it arrives", () => [...more.acknowledged].every((id) => second.upstream.accepted(id)));
  assertEquals(first.upstream.requests.length, sent, "nothing goes to the old one");
  assertEquals(await node.terminate(), 0);
});
