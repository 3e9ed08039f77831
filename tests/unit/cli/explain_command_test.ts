import { assertEquals, assertStringIncludes } from "@std/assert";
import { utf8 } from "../../../src/core/bytes.ts";
import { encodeRequestMeta } from "../../../src/protocol/request_meta.ts";
import { runFakeCli } from "../../support/fake_system.ts";
import { errorMeta } from "../../support/record_meta.ts";
import { SimStorage } from "../../support/sim_storage.ts";
import { closePartition, openPartition } from "../../support/spool_fixture.ts";

const KEY = "a".repeat(32);
const DSN = `http://${KEY}@127.0.0.1:3000/1`;
const EVENT = `{"event_id":"${
  "c".repeat(32)
}","dsn":"${DSN}"}\n{"type":"event","length":17}\n{"release":"1.0"}\n`;

/** Explains in a folder whose project has these settings. */
async function explain(
  config: object,
  args: readonly string[],
  more: { envelope?: string; storage?: SimStorage } = {},
) {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  try {
    await Deno.mkdir(`${folder}/projects`);
    await Deno.writeTextFile(`${folder}/projects/1.json`, "");
    const files = {
      [`${folder}/config.yml`]: "relay: {mode: static}\nspool: {envelopes: {path: spool}}\n",
      [`${folder}/projects/1.json`]: JSON.stringify({ publicKeys: [{ publicKey: KEY }], config }),
      "envelope": more.envelope ?? EVENT,
    };
    return await runFakeCli(["explain", ...args, "-c", folder], {
      files,
      ...more.storage ? { storage: more.storage } : {},
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const FILE = ["--file", "envelope", "--json"];
const RELEASES = { filterSettings: { releases: { releases: ["1.*"] } } };
const quota = (limit: number) => ({
  quotas: [{ categories: ["error"], limit, window: 60, reasonCode: "spent", id: "q" }],
});

/** Settings, and the check that decides, its verdict, and its reason. */
const ROWS: readonly (readonly [string, object, string, string, string])[] = [
  ["a filter", RELEASES, "filters", "removes", "release-version"],
  [
    "a quota of limit 0",
    { quotas: [{ limit: 0, reasonCode: "none_left" }] },
    "limits",
    "removes",
    "none_left (organization)",
  ],
  ["a quota that counts", quota(5), "quotas", "pass", "q: 5 in 60 s"],
  ["nothing", {}, "sampling", "pass", "no rule applies"],
];

for (const [what, config, check, verdict, detail] of ROWS) {
  Deno.test(`landfall explain --file: ${what}`, async () => {
    const { code, out, err } = await explain(config, FILE);
    assertEquals([code, err], [0, ""]);
    const step = JSON.parse(out).find((step: { check: string }) => step.check === check);
    assertEquals([step.verdict, step.detail], [verdict, detail]);
  });
}

Deno.test("landfall explain --file: sampling says rate and rules; a project that is unknown is refused", async () => {
  const rules = [{ id: 1003, type: "transaction", samplingValue: { type: "sampleRate", value: 0 } }];
  const transaction = EVENT.replace(`"type":"event"`, `"type":"transaction"`);
  const sampled = await explain({ sampling: { version: 2, rules } }, ["--file", "envelope"], {
    envelope: transaction,
  });
  assertStringIncludes(sampled.out, "drop, rate 0, rules 1003, Sampled:1003");
  const dsn = `http://${"b".repeat(32)}@127.0.0.1:3000/1`;
  const unknown = await explain({}, [...FILE, "--dsn", dsn]);
  assertEquals(JSON.parse(unknown.out), [
    { check: "project", verdict: "refused", detail: "ProjectId (project_id)", left: [] },
  ]);
});

Deno.test("landfall explain ID: a record of the spool", async () => {
  const storage = new SimStorage({});
  const partition = await openPartition(storage);
  const meta = encodeRequestMeta({ ...errorMeta(KEY), key: KEY, projectId: "1" });
  await partition.writer.append({
    receivedAtMs: Date.now(),
    projectHash: 1,
    categoryBits: [2, 0],
    meta,
    body: [utf8(EVENT)],
  });
  await closePartition(partition);
  const listed = await runFakeCli(["spool", "ls", "--waiting", "-c", "cfg"], {
    storage,
    files: {
      "cfg/config.yml": "relay: {mode: proxy}\nspool: {envelopes: {path: spool}}\nadmin: {enabled: false}\n",
    },
  });
  const id = /\S+:\S+|p\d+\/\S+/.exec(listed.out)?.[0] ?? "";
  const { code, out, err } = await explain(RELEASES, [id], { storage });
  assertEquals([code, err], [0, ""]);
  assertStringIncludes(out, "release-version");
  assertEquals((await explain({}, ["p0/1:9"], { storage })).code, 1);
});

Deno.test("landfall explain: what it cannot work with", async () => {
  assertEquals((await explain({}, [])).code, 64);
  assertEquals((await explain({}, ["--file", "envelope", "x"])).code, 64);
  assertEquals((await explain({}, ["--file", "envelope", "--dsn", "nonsense"])).code, 64);
  assertEquals((await explain({}, ["--file", "missing"])).code, 1);
  assertEquals((await explain({}, FILE, { envelope: "not an envelope" })).code, 1);
  assertEquals((await explain({ quotas: 7 }, FILE)).code, 78);
});
