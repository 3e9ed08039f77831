import { assertEquals } from "@std/assert";
import { overridden, projectOverride } from "../../../src/projects/project_override.ts";
import { projectDocument, type ProjectState, projectStates } from "../../../src/projects/project_state.ts";

const KEY = "a".repeat(32);
const stateOf = (raw: object): ProjectState => projectStates(projectDocument.parse(raw))[0]![1];
const FETCHED = {
  projectId: 42,
  organizationId: 7,
  publicKeys: [{ publicKey: KEY, numericId: 9 }],
  config: {
    allowedDomains: ["fetched.example"],
    quotas: [{ limit: 0, categories: ["error"], reasonCode: "fetched" }],
    features: ["fetched"],
    filterSettings: { releases: { releases: ["1.*"] }, localhost: { isEnabled: true } },
    sampling: { version: 2, rules: [] },
    trustedRelays: ["fetched"],
    trustedRelaySettings: { verifySignature: "enabled" },
  },
};

/** The state under a file `41.json` with this in it, and with `key` among that of its key. */
function under(file: object, fetched: ProjectState | null = stateOf(FETCHED), key: object = {}) {
  const raw = { publicKeys: [{ publicKey: KEY, ...key }], ...file };
  return overridden(KEY, fetched, projectOverride(raw, projectDocument.parse(raw), "41"));
}

/** What a file says, and what of the fetched document it changes. */
const rows: [file: object, changed: object][] = [
  [{}, {}],
  [{ config: {} }, {}],
  [{ disabled: false, projectId: 41, organizationId: 1 }, {}],
  [{ disabled: true }, { disabled: true }],
  [{ config: { allowedDomains: [] } }, { allowedDomains: [] }],
  [{ config: { quotas: [] } }, { blockingQuotas: [] }],
  [{ config: { features: ["own"] } }, { features: ["own"] }],
  [{ config: { dynamicSampling: null } }, { sampling: null }],
  [{ config: { trustedRelaySettings: null } }, { trustedSenders: null }],
  [{ config: { filterSettings: { localhost: null } } }, {
    filters: { releases: { releases: ["1.*"] }, localhost: null },
  }],
  [{ config: { filterSettings: { clientIps: { blacklistedIps: ["1.1.1.1"] } } } }, {
    filters: { ...stateOf(FETCHED).filters, clientIps: { blacklistedIps: ["1.1.1.1"] } },
  }],
];
for (const [file, changed] of rows) {
  Deno.test(`overridden: ${JSON.stringify(file)} changes ${Object.keys(changed).join() || "nothing"}`, () =>
    assertEquals(under(file), { ...stateOf(FETCHED), ...changed }));
}

Deno.test("overridden: quotas of a file are matched against the ids of the upstream", () => {
  const quota = { limit: 5, window: 60, categories: ["error"] };
  const quotas = [
    { ...quota, id: "ours", scope: "organization", scopeId: "7" },
    { ...quota, id: "theirs", scope: "organization", scopeId: "8" },
    { ...quota, id: "key", scope: "key", scopeId: "9" },
  ];
  const state = under({ organizationId: 8, config: { quotas } });
  assertEquals(state?.countedQuotas.map(({ id }) => id), ["ours", "key"]);
});

Deno.test("overridden: a key of an unknown or closed project is opened only in so many words", () => {
  assertEquals(under({ config: { allowedDomains: [] } }, null), null);
  assertEquals(under({ disabled: false }, null), null);
  assertEquals(under({ disabled: true }, null)?.disabled, true);
  assertEquals(under({}, null, { isEnabled: false })?.disabled, true);
  const closed = stateOf({ disabled: true, publicKeys: [{ publicKey: KEY }] });
  assertEquals(under({}, closed)?.disabled, true);
  const opened = under({ disabled: false }, closed);
  assertEquals([opened?.disabled, opened?.projectId], [false, "41"]);
});
