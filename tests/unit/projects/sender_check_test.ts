/** Control reference, sections 1 and 3: relays that a project trusts. */
import { assertEquals } from "@std/assert";
import { Admission } from "../../../src/projects/admission.ts";
import { projectDocument, projectStates } from "../../../src/projects/project_state.ts";
import { ProjectTable } from "../../../src/projects/project_table.ts";
import { RateLimitTable } from "../../../src/projects/rate_limit_table.ts";
import type { RelaySenders } from "../../../src/projects/sender_check.ts";
import { SecretKey } from "../../../src/protocol/signature.ts";

const KEY = "a".repeat(32);
const RECEIVED = 1_700_000_000_000;
const NO_PAYLOAD = new Uint8Array();
const trusted = SecretKey.generate();
const another = SecretKey.generate();
const stranger = SecretKey.generate();
const internal = SecretKey.generate();

/** Says what becomes of a request with this signature, long after it was received. */
function decide(
  relaySignature: string | null,
  o: { config?: object; senders?: RelaySenders; isPoliced?: true } = {},
): string {
  const config = {
    trustedRelays: [another.publicKey.text, "no key", trusted.publicKey.text],
    trustedRelaySettings: { verifySignature: "enabled" },
    ...o.config,
  };
  const document = { projectId: 42, publicKeys: [{ publicKey: KEY }], config };
  const table = new ProjectTable({
    unknown: "refuse",
    overrideProjectIds: false,
    states: projectStates(projectDocument.parse(document)),
  });
  const request = {
    key: KEY,
    projectId: "42",
    origin: null,
    ...relaySignature !== null && { relaySignature },
    ...o.isPoliced && { isPoliced: o.isPoliced },
  };
  const admission = new Admission(table, new RateLimitTable(), o.senders);
  const verdict = admission.decide(request, RECEIVED + 3_600_000, RECEIVED);
  return verdict.kind === "refused" ? `${verdict.reason} ${verdict.name}` : verdict.kind;
}

const signed = (key: SecretKey, timeMs = RECEIVED, payload = NO_PAYLOAD) => key.sign(payload, timeMs);
const INVALID = "invalid_signature InvalidSignature";

const rows: [what: string, signature: string | null, verdict: string][] = [
  ["none", null, "missing_signature MissingSignature"],
  ["of a trusted relay", signed(trusted), "admitted"],
  ["of another trusted relay", signed(another), "admitted"],
  ["of a relay it does not trust", signed(stranger), INVALID],
  ["at the end of its age", signed(trusted, RECEIVED - 300_000), "admitted"],
  ["beyond its age", signed(trusted, RECEIVED - 300_001), INVALID],
  ["from the future", signed(trusted, RECEIVED + 1), INVALID],
  ["without a time", trusted.signWith("{}", NO_PAYLOAD), INVALID],
  ["of some payload", signed(trusted, RECEIVED, new TextEncoder().encode("{}")), INVALID],
  [
    "with the header of another",
    `${signed(trusted).split(".")[0]}.${signed(stranger, RECEIVED - 1).split(".")[1]}`,
    INVALID,
  ],
  ["that is none", "x", INVALID],
  ["that is empty", "", INVALID],
];
for (const [what, signature, verdict] of rows) {
  Deno.test(`a signature ${what}: ${verdict}`, () => assertEquals(decide(signature), verdict));
}

Deno.test("signatures are not asked for where the project does not want them, or where the sender was checked before", () => {
  for (const trustedRelaySettings of [null, {}, { verifySignature: "disabled" }]) {
    assertEquals(decide(null, { config: { trustedRelaySettings } }), "admitted");
  }
  assertEquals(decide(null, { isPoliced: true }), "admitted");
});

Deno.test("a project that trusts nobody takes from internal relays alone, and those have to sign", () => {
  const senders = { internalKeys: [internal.publicKey.text], signatureAgeMsMax: 1000 };
  const config = { trustedRelays: undefined };
  assertEquals(decide(signed(internal), { config, senders }), "admitted");
  assertEquals(decide(signed(internal, RECEIVED - 1001), { config, senders }), INVALID);
  assertEquals(decide(signed(trusted), { config, senders }), INVALID);
  assertEquals(decide(null, { config, senders }), "missing_signature MissingSignature");
});
