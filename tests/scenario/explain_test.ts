/** `landfall explain` and a managed node: what it really knows, while it runs and after it stopped. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { generateCredentials, renderCredentials } from "../../src/config/credentials_file.ts";
import { testEachNode } from "../support/each_node.ts";
import { runCommand } from "../support/node_command.ts";
import { NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedSentry } from "../support/scripted_sentry.ts";
import { until } from "../support/until.ts";

const TOKEN = "a-token-of-the-operator";
const DAY_SECONDS = 86_400;

interface Explained {
  readonly steps: readonly { check: string; verdict: string; detail: string; left: string[] }[];
  readonly notes: readonly string[];
}

/** An envelope for the test's project. */
function envelope(type: "event" | "transaction", payload: object): string {
  const text = JSON.stringify(payload);
  const head = { event_id: "c".repeat(32), dsn: `http://${TEST_KEY}@127.0.0.1/1` };
  return `${JSON.stringify(head)}\n{"type":"${type}","length":${text.length}}\n${text}\n`;
}

testEachNode("explain: states, files, limits and quotas as the node has them", async (_, { executable }) => {
  const credentials = generateCredentials();
  const sentry = ScriptedSentry.start();
  sentry.addProject(TEST_KEY, 1, {
    trustedRelays: [credentials.publicKey],
    allowedDomains: ["example.com"],
    quotas: [
      { id: "q", categories: ["error"], limit: 3, window: DAY_SECONDS, reasonCode: "spent" },
      { id: "spans", categories: ["span"], limit: 1, window: DAY_SECONDS, reasonCode: "no_spans" },
    ],
  });
  sentry.global = {
    filters: {
      version: 1,
      filters: [{
        id: "no-canary",
        isEnabled: true,
        condition: { op: "eq", name: "event.environment", value: "canary" },
      }],
    },
  };
  await using node = await NodeProcess.start({
    ...executable && { executable },
    upstream: sentry.url,
    config: {
      relay: { mode: "managed" },
      admin: { token: TOKEN },
      cache: { batch_interval: "10ms", global_config_fetch_interval: "100ms" },
      http: { max_retry_interval: "200ms" },
    },
    files: {
      "credentials.json": renderCredentials(credentials),
      "projects/1.json": JSON.stringify({
        publicKeys: [{ publicKey: TEST_KEY }],
        config: { filterSettings: { releases: { releases: ["1.*"] } } },
      }),
    },
  });
  let said = "";
  const explain = async (...args: string[]): Promise<Explained> => {
    const options = executable ? { executable } : {};
    const { code, stdout, stderr } = await runCommand(
      ["explain", "--json", ...args, "-c", node.folder],
      options,
    );
    assertEquals(code, 0, stderr);
    said += stdout + stderr;
    return JSON.parse(stdout);
  };
  const file = async (type: "event" | "transaction", payload: object): Promise<string[]> => {
    const path = `${node.folder}/explained`;
    await Deno.writeTextFile(path, envelope(type, payload));
    return ["--file", path];
  };
  const lastOf = ({ steps }: Explained) =>
    `${steps.at(-1)!.check} ${steps.at(-1)!.verdict}: ${steps.at(-1)!.detail}`;
  const plain = await file("event", { message: "plain" });

  const unknown = await explain(...plain);
  assertMatch(lastOf(unknown), /^project waits: /);
  const { eventId } = await postEvent(node.url);
  await sentry.upstream.until(() => sentry.upstream.accepted(eventId), 20_000);

  const known = await explain(...plain);
  assertEquals(
    lastOf(known),
    `quotas pass: q: 1 of 3 in ${DAY_SECONDS} s, spans: 0 of 1 in ${DAY_SECONDS} s`,
  );
  assertEquals(known.notes, [`projects/1.json says something of ${TEST_KEY}`]);
  assertEquals(lastOf(await explain(...plain)), lastOf(known), "explaining counts nothing");
  assertEquals(
    lastOf(await explain(...await file("event", { release: "1.0" }))),
    "filters removes: release-version",
  );
  assertEquals(
    lastOf(await explain(...await file("event", { environment: "canary" }))),
    "filters removes: no-canary",
  );
  assertEquals(
    lastOf(await explain(...plain, "--from-origin", "https://elsewhere.example")),
    "project refused: Cors (cors): https://elsewhere.example is not among example.com",
  );

  sentry.upstream.script({
    status: 429,
    headers: { "X-Sentry-Rate-Limits": "3600:error:project:bought_out" },
  });
  await postEvent(node.url);
  await until("the limit is learned", async () => (await postEvent(node.url)).status === 429);
  const limit = /^limits removes: bought_out \(project\), learned from the upstream, until \d{4}-/;
  assertMatch(lastOf(await explain(...plain)), limit);

  await sentry[Symbol.asyncDispose]();
  const otlp = `${node.url}/api/1/integration/otlp/v1/traces?sentry_key=${TEST_KEY}`;
  const headers = { "content-type": "application/json" };
  const taken = await fetch(otlp, { method: "POST", headers, body: "{}" });
  assertEquals(taken.status, 200, await taken.text());
  const listed = await runCommand(["spool", "ls", "--waiting", "--json", "-c", node.folder]);
  const [record] = listed.stdout.trim().split("\n").map((line) => JSON.parse(line) as { id: string });
  const whole = await explain("--record", record!.id);
  assertMatch(lastOf(whole), /^quotas removes: no_spans; .*spans: 1 of 1 in/);
  assertStringIncludes(whole.notes[0]!, "were asked when it came");

  assertEquals(await node.terminate(), 0);
  const stopped = await explain(...plain);
  assertMatch(lastOf(stopped), limit);
  assertStringIncludes(stopped.notes.join("\n"), "the node is stopped");
  const afterwards = await explain(...await file("transaction", { transaction: "/" }));
  assertMatch(lastOf(afterwards), /^quotas pass: q: 0 of 3/);
  assertEquals(
    lastOf(await explain(...await file("event", { release: "1.0" }), "--from-origin", "https://example.com")),
    lastOf(stopped),
  );
  assertEquals(
    lastOf(await explain(...await file("transaction", { environment: "canary" }))),
    "filters removes: no-canary",
    "the global configuration is kept, too",
  );
  for (const secret of [credentials.secretKey, TOKEN]) assert(!said.includes(secret));
});
