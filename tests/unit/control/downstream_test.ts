/** What a node answers to relays downstream of it: control reference, section 4, last table. */
import { assertEquals } from "@std/assert";
import { utf8 } from "../../../src/core/bytes.ts";
import { answerRelay, type DownstreamDeps } from "../../../src/control/downstream.ts";
import { type KnownRelay, RelayLookupError } from "../../../src/control/relay_keys.ts";
import { DISABLED_STATE, fetchedDocument, fetchedState } from "../../../src/projects/fetched_state.ts";
import type { KnownProject } from "../../../src/projects/project_cache.ts";
import type { RelayQuestion } from "../../../src/protocol/relay_question.ts";
import { SecretKey } from "../../../src/protocol/signature.ts";
import { QueryError } from "../../../src/upstream/query_client.ts";

const [internal, external, stranger] = [SecretKey.generate(), SecretKey.generate(), SecretKey.generate()];
const INTERNAL_ID = "11111111-1111-4111-8111-111111111111";
const EXTERNAL_ID = "22222222-2222-4222-8222-222222222222";
const RELAYS: ReadonlyMap<string, KnownRelay> = new Map([
  [INTERNAL_ID, { publicKey: internal.publicKey, internal: true }],
  [EXTERNAL_ID, { publicKey: external.publicKey, internal: false }],
]);

const [TRUSTING, CLOSED, UNKNOWN, OFF, DISTRUSTING] = ["a", "b", "c", "d", "e"].map((digit) =>
  digit.repeat(32)
) as [string, string, string, string, string];

const raw = (key: string, trustedRelays: string[], more: object = {}) => ({
  projectId: 1,
  rev: "r1",
  upstream: "https://elsewhere.example/",
  publicKeys: [{ publicKey: key }],
  config: {
    trustedRelays,
    allowedDomains: ["example.com"],
    quotas: [{ limit: 0 }],
    sampling: { version: 2, rules: [] },
    trustedRelaySettings: { verifySignature: "disabled" },
    eventRetention: 30,
    somethingNew: { kept: true },
  },
  ...more,
});

function known(key: string, document: object): [string, KnownProject] {
  return [key, { key, document: fetchedDocument(document), state: fetchedState(key, document) }];
}

const PROJECTS: ReadonlyMap<string, KnownProject> = new Map([
  known(TRUSTING, raw(TRUSTING, [external.publicKey.text])),
  known(DISTRUSTING, raw(DISTRUSTING, [])),
  known(OFF, raw(OFF, [external.publicKey.text], { disabled: true })),
  [CLOSED, { key: CLOSED, document: null, state: DISABLED_STATE }],
]);

/** Everything an external relay gets of the project that trusts it. */
const LIMITED = {
  projectId: 1,
  rev: "r1",
  publicKeys: [{ publicKey: TRUSTING }],
  config: {
    trustedRelays: [external.publicKey.text],
    allowedDomains: ["example.com"],
    somethingNew: { kept: true },
  },
};

async function ask(
  route: RelayQuestion["route"],
  question: unknown,
  o: Partial<RelayQuestion> & Partial<DownstreamDeps> & { readonly by?: "internal" | "external" } = {},
) {
  const { by = "external" } = o;
  const [id, key] = by === "internal" ? [INTERNAL_ID, internal] : [EXTERNAL_ID, external];
  const body = typeof question === "string" ? utf8(question) : utf8(JSON.stringify(question));
  const wanted: string[] = [];
  const passed: string[] = [];
  const answer = await answerRelay({
    route,
    relayId: o.relayId === undefined ? id : o.relayId,
    signature: o.signature === undefined ? key.sign(body, 0) : o.signature,
    body,
  }, {
    findRelay: o.findRelay ?? ((id) => Promise.resolve(RELAYS.get(id) ?? null)),
    lookup: (key) => PROJECTS.get(key) ?? null,
    want: (keys) => void wanted.push(...keys),
    global: o.global ?? (() => null),
    passOn: o.passOn ?? ((query) => Promise.resolve(void passed.push(query))),
    advertisedUpstream: o.advertisedUpstream ?? null,
  });
  return { status: answer.status, body: JSON.parse(answer.body), wanted, passed };
}

const configs = (publicKeys: readonly unknown[], more: object = {}) => ({ publicKeys, ...more });

Deno.test("projectconfigs: what an external relay gets, and does not", async () => {
  const all = [TRUSTING, DISTRUSTING, OFF, CLOSED, UNKNOWN, "short", 7, null];
  const { status, body, wanted } = await ask("project_configs", configs(all, { fullConfig: true }));
  assertEquals([status, body], [200, { configs: { [TRUSTING]: LIMITED }, pending: [UNKNOWN] }]);
  assertEquals(wanted, [UNKNOWN]);
});

Deno.test("projectconfigs: an internal relay gets all projects, in full only if it asks for that", async () => {
  const limited = await ask("project_configs", configs([TRUSTING, DISTRUSTING]), { by: "internal" });
  assertEquals(Object.keys(limited.body.configs), [TRUSTING, DISTRUSTING]);
  assertEquals(limited.body.configs[TRUSTING], LIMITED);
  const full = await ask("project_configs", configs([TRUSTING], { fullConfig: true }), { by: "internal" });
  const { upstream: _, ...expected } = raw(TRUSTING, [external.publicKey.text]);
  assertEquals(full.body.configs[TRUSTING], expected);
});

Deno.test("projectconfigs: where relays are told to send to is this node's business", async () => {
  const { body } = await ask("project_configs", configs([TRUSTING]), {
    advertisedUpstream: "https://near.example/",
  });
  assertEquals(body.configs[TRUSTING].upstream, "https://near.example/");
});

/** Keys, revisions, and which of the keys are unchanged. */
const REVISIONS: readonly (readonly [string, string[], unknown, string[]])[] = [
  ["the same", [TRUSTING], ["r1"], [TRUSTING]],
  ["the same of a project that does not trust the relay", [DISTRUSTING], ["r1"], [DISTRUSTING]],
  ["another one", [TRUSTING], ["r0"], []],
  ["none", [TRUSTING], [null], []],
  ["no list", [TRUSTING], null, []],
  ["a list of another length", [TRUSTING], ["r1", "r1"], []],
  ["what is no list", [TRUSTING], "r1", []],
  ["what is no revision beside one", [DISTRUSTING, TRUSTING], [7, "r1"], [TRUSTING]],
  ["of a project that is off", [OFF, CLOSED], ["r1", "r1"], []],
];

for (const [what, keys, revisions, unchanged] of REVISIONS) {
  Deno.test(`projectconfigs: revisions, ${what}`, async () => {
    const { status, body } = await ask("project_configs", configs(keys, { revisions }));
    assertEquals([status, body.unchanged ?? []], [200, unchanged]);
    for (const key of unchanged) assertEquals(body.configs[key], undefined);
  });
}

Deno.test("projectconfigs: the global configuration as received, or pending, and only for who asks", async () => {
  const global = { measurements: {}, options: { unknown: 1 } };
  const asked = configs([], { global: true });
  assertEquals((await ask("project_configs", asked)).body, {
    configs: {},
    global: {},
    globalStatus: "pending",
  });
  assertEquals((await ask("project_configs", asked, { global: () => global })).body, {
    configs: {},
    global,
    globalStatus: "ready",
  });
  assertEquals((await ask("project_configs", configs([]), { global: () => global })).body, { configs: {} });
});

Deno.test("publickeys: relays by id, however it is written; null for who is not known", async () => {
  const plain = INTERNAL_ID.replaceAll("-", "");
  const { status, body } = await ask("public_keys", {
    relay_ids: [plain, EXTERNAL_ID, crypto.randomUUID(), "x"],
  });
  assertEquals(status, 200);
  const [first, second, third, fourth] = Object.values(body.relays);
  assertEquals(first, { publicKey: internal.publicKey.text, internal: true });
  assertEquals(second, { publicKey: external.publicKey.text, internal: false });
  assertEquals([third, fourth], [null, null]);
});

for (const route of ["outcomes", "metrics"] as const) {
  Deno.test(`${route}: taken from internal relays alone, and handed on`, async () => {
    assertEquals(await ask(route, {}, { by: "internal" }), {
      status: 202,
      body: {},
      wanted: [],
      passed: [route],
    });
    const refused = await ask(route, {});
    assertEquals([refused.status, refused.passed], [403, []]);
    const failing = (kind: "network" | "refused", status?: number) => () =>
      Promise.reject(new QueryError(kind, "no", status));
    assertEquals((await ask(route, {}, { by: "internal", passOn: failing("network") })).status, 503);
    assertEquals((await ask(route, {}, { by: "internal", passOn: failing("refused", 413) })).status, 413);
    assertEquals((await ask(route, "[", { by: "internal" })).status, 400);
  });
}

const body = configs([TRUSTING]);
const signed = (key: SecretKey, text = JSON.stringify(body)) => key.sign(utf8(text), 0);

/** Questions that are refused, with status and detail. */
const REFUSED: readonly (readonly [string, Parameters<typeof ask>[2], number, string])[] = [
  ["without an id", { relayId: null }, 401, "missing header: x-sentry-relay-id"],
  ["with an id that is none", { relayId: "me" }, 401, "malformed header: x-sentry-relay-id"],
  ["without a signature", { signature: null }, 401, "missing header: x-sentry-relay-signature"],
  ["of a relay nobody knows", { relayId: crypto.randomUUID() }, 401, "unknown relay id"],
  ["signed by another key", { signature: signed(stranger) }, 401, "invalid relay signature"],
  [
    "with the signature of another body",
    { signature: signed(external, "{}") },
    401,
    "invalid relay signature",
  ],
  ["with a signature that is none", { signature: "?" }, 401, "invalid relay signature"],
  [
    "while the upstream cannot be asked who it is",
    { findRelay: () => Promise.reject(new RelayLookupError("away")) },
    503,
    "internal system is overloaded",
  ],
  [
    "that meets an error here",
    { findRelay: () => Promise.reject(new Error("a bug")) },
    500,
    "internal error",
  ],
];

for (const [what, options, status, detail] of REFUSED) {
  Deno.test(`a question ${what} gets ${status}`, async () => {
    const answer = await ask("project_configs", body, options);
    assertEquals([answer.status, answer.body.detail], [status, detail]);
  });
}

for (const text of ["{", '"text"', "null", `{"publicKeys":7}`, `{"publicKeys":[],"fullConfig":"yes"}`]) {
  Deno.test(`projectconfigs: ${text} gets 400`, async () => {
    const { status, body } = await ask("project_configs", text);
    assertEquals([status, body.detail, body.causes.length], [400, "invalid JSON data", 1]);
  });
}

Deno.test("a signature is not too old for these questions: only what it signs is asked about", async () => {
  assertEquals(
    (await ask("project_configs", body, { signature: external.sign(utf8(JSON.stringify(body)), 1) })).status,
    200,
  );
});
