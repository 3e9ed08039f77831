import { assertEquals, assertStringIncludes } from "@std/assert";
import { utf8 } from "../../../src/core/bytes.ts";
import { encodeRequestMeta, type RequestMeta } from "../../../src/protocol/request_meta.ts";
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
  more: { envelope?: string | Uint8Array; storage?: SimStorage; yaml?: string; document?: object } = {},
) {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  const { envelope = EVENT, storage = new SimStorage({}), yaml = "", document = {} } = more;
  await storage.ensureFolder("files");
  await storage.replaceFile("files/envelope", typeof envelope === "string" ? utf8(envelope) : envelope);
  try {
    await Deno.mkdir(`${folder}/projects`);
    await Deno.writeTextFile(`${folder}/projects/1.json`, "");
    const project = { publicKeys: [{ publicKey: KEY }], config, ...document };
    const files = {
      [`${folder}/config.yml`]: `relay: {mode: static}\nspool: {envelopes: {path: spool}}\n${yaml}`,
      [`${folder}/projects/1.json`]: JSON.stringify(project),
    };
    return await runFakeCli(["explain", ...args, "-c", folder], { files, storage });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const FILE = ["--file", "files/envelope", "--json"];
const RELEASES = { filterSettings: { releases: { releases: ["1.*"] } } };
const quota = (limit: number) => ({
  quotas: [{ categories: ["error"], limit, window: 60, reasonCode: "spent", id: "q" }],
});
const BROWSER = ["--from-origin", "https://elsewhere.example"];

/** What is explained, and the check that decides, its verdict, and its reason. */
const ROWS: readonly {
  readonly what: string;
  readonly config?: object;
  readonly args?: readonly string[];
  readonly more?: Parameters<typeof explain>[2];
  readonly says: readonly [check: string, verdict: string, detail: string];
}[] = [
  { what: "a filter", config: RELEASES, says: ["filters", "removes", "release-version"] },
  {
    what: "a filter of addresses",
    config: { filterSettings: { clientIps: { blacklistedIps: ["192.0.2.0/24"] } } },
    args: ["--address", "192.0.2.7"],
    says: ["filters", "removes", "ip-address"],
  },
  {
    what: "a filter of user agents",
    config: { filterSettings: { webCrawlers: { isEnabled: true } } },
    args: ["--user-agent", "Googlebot/2.1"],
    says: ["filters", "removes", "web-crawlers"],
  },
  {
    what: "a quota of limit 0",
    config: { quotas: [{ limit: 0, reasonCode: "none_left" }] },
    says: ["limits", "removes", "none_left (organization), a quota of limit 0"],
  },
  { what: "a quota that counts", config: quota(5), says: ["quotas", "pass", "q: 0 of 5 in 60 s"] },
  { what: "nothing", says: ["sampling", "pass", "no rule applies"] },
  {
    what: "an origin",
    config: { allowedDomains: ["example.com"] },
    args: BROWSER,
    says: ["project", "refused", "Cors (cors): https://elsewhere.example is not among example.com"],
  },
  {
    what: "another project's id",
    args: ["--dsn", DSN.replace(/1$/, "2")],
    says: ["project", "refused", "ProjectId (project_id): the key belongs to project 1, not 2"],
  },
  {
    what: "a project that is disabled",
    more: { document: { disabled: true } },
    says: [
      "project",
      "refused",
      "ProjectId (project_id): the key or its project is disabled, or the upstream knows none that trusts this node",
    ],
  },
  {
    what: "a key nobody knows",
    args: ["--dsn", `http://${"b".repeat(32)}@127.0.0.1:3000/1`],
    says: ["project", "refused", "ProjectId (project_id): no project is known for the key"],
  },
  {
    what: "a size",
    more: { yaml: "limits: {max_event_size: 10}" },
    says: [
      "sizes",
      "refused",
      "envelope exceeded size limits for type 'event' (https://develop.sentry.dev/sdk/envelopes/#size-limits)",
    ],
  },
  {
    what: "an unknown item",
    more: {
      yaml: "routing: {accept_unknown_items: false}",
      envelope: EVENT.replace(`"type":"event"`, `"type":"novelty"`),
    },
    says: ["items", "removes", "items of an unknown type (routing.accept_unknown_items)"],
  },
];

for (const { what, config = {}, args = [], more = {}, says } of ROWS) {
  Deno.test(`landfall explain --file: ${what}`, async () => {
    const { code, out, err } = await explain(config, [...FILE, ...args], more);
    assertEquals([code, err], [0, ""]);
    const { steps } = JSON.parse(out);
    const step = steps.find((step: { check: string }) => step.check === says[0]);
    assertEquals([step?.check, step?.verdict, step?.detail], says, out);
    if (step.left.length === 0) assertEquals(steps.at(-1), step, "nothing is asked after that");
  });
}

Deno.test("landfall explain --file: sampling says rate and rules, compressed bodies are read", async () => {
  const rules = [{ id: 1003, type: "transaction", samplingValue: { type: "sampleRate", value: 0 } }];
  const transaction = EVENT.replace(`"type":"event"`, `"type":"transaction"`);
  const gzip = new Blob([transaction]).stream().pipeThrough(new CompressionStream("gzip"));
  const sampled = await explain({ sampling: { version: 2, rules } }, ["--file", "files/envelope"], {
    envelope: new Uint8Array(await new Response(gzip).arrayBuffer()),
  });
  assertStringIncludes(sampled.out, "drop, rate 0, rules 1003, Sampled:1003");
  assertStringIncludes(sampled.out, "\nthe node is stopped: ");
});

/** Explains the record with this meta and body, the only one of a spool. */
async function explainRecord(config: object, meta: Partial<RequestMeta>, body: string) {
  const storage = new SimStorage({});
  const partition = await openPartition(storage);
  await partition.writer.append({
    receivedAtMs: Date.now(),
    projectHash: 1,
    categoryBits: [2, 0],
    meta: encodeRequestMeta({ ...errorMeta(KEY), key: KEY, projectId: "1", ...meta }),
    body: [utf8(body)],
  });
  await closePartition(partition);
  const listed = await runFakeCli(["spool", "ls", "--waiting", "-c", "cfg"], {
    storage,
    files: {
      "cfg/config.yml": "relay: {mode: proxy}\nspool: {envelopes: {path: spool}}\nadmin: {enabled: false}\n",
    },
  });
  const id = /p\d+\/\S+/.exec(listed.out)?.[0] ?? "";
  const { code, out, err } = await explain(config, ["--record", id, "--json"], { storage });
  assertEquals([code, err], [0, ""]);
  return JSON.parse(out);
}

Deno.test("landfall explain --record: an envelope of the spool, policed before or not", async () => {
  const { steps } = await explainRecord(RELEASES, {}, EVENT);
  assertEquals(steps.at(-1), { check: "filters", verdict: "removes", detail: "release-version", left: [] });
  const { notes } = await explainRecord(RELEASES, { isPoliced: true }, EVENT);
  assertStringIncludes(notes[0], "were asked when it came");
  assertEquals((await explain({}, ["--record", "p0/1/9"])).code, 1);
});

/** A body that only the upstream can read, by settings of its project: the last check, its verdict and reason. */
const WHOLE: readonly (readonly [string, object, readonly [string, string, string, string[]]])[] = [
  ["nothing", {}, ["quotas", "pass", "none counts", ["body"]]],
  ["a limit", { quotas: [{ limit: 0, categories: ["span"], reasonCode: "none_left" }] }, [
    "limits",
    "removes",
    "none_left (organization), a quota of limit 0",
    [],
  ]],
  ["a limit on something else", { quotas: [{ limit: 0, categories: ["error"] }] }, [
    "quotas",
    "pass",
    "none counts",
    ["body"],
  ]],
  ["an address", { filterSettings: { clientIps: { blacklistedIps: ["127.0.0.1"] } } }, [
    "filters",
    "removes",
    "ip-address",
    [],
  ]],
  ["a quota", { quotas: [{ id: "q", limit: 3, window: 60, categories: ["span"], reasonCode: "spent" }] }, [
    "quotas",
    "removes",
    "spent; q: 0 of 3 in 60 s",
    [],
  ]],
];

for (const [what, config, says] of WHOLE) {
  Deno.test(`landfall explain --record: a body that is no envelope, ${what}`, async () => {
    const passthrough = { path: "/api/1/integration/otlp/v1/traces/", contentType: "application/x-protobuf" };
    const { steps } = await explainRecord(config, { passthrough, quantities: [["span", 4]] }, "\0\x01");
    const { check, verdict, detail, left } = steps.at(-1);
    assertEquals([check, verdict, detail, left], says);
  });
}

Deno.test("landfall explain: what it cannot work with", async () => {
  assertEquals((await explain({}, [])).code, 64);
  assertEquals((await explain({}, ["--file", "files/envelope", "x"])).code, 64);
  assertEquals((await explain({}, ["--file", "files/envelope", "--record", "p0/1/0"])).code, 64);
  assertEquals((await explain({}, ["--file", "files/envelope", "--dsn", "nonsense"])).code, 64);
  assertEquals((await explain({}, ["--file", "files/missing"])).code, 1);
  assertEquals((await explain({}, FILE, { envelope: "not an envelope" })).code, 1);
  assertEquals((await explain({ quotas: 7 }, FILE)).code, 78);
});
