import { assertEquals } from "@std/assert";
import { Admission, type AdmissionVerdict } from "../../../src/projects/admission.ts";
import { projectDocument, projectStates } from "../../../src/projects/project_state.ts";
import { ProjectTable } from "../../../src/projects/project_table.ts";
import { type LimitIds, ownedLimits, RateLimitTable } from "../../../src/projects/rate_limit_table.ts";
import { parseRateLimits, type RateLimit } from "../../../src/protocol/rate_limit.ts";

const NOW = 1_000_000;
const KEY = "a".repeat(32);
const OTHER = "b".repeat(32);

function admission(
  document: unknown,
  o: { unknown?: "forward" | "refuse" | "wait"; overrideProjectIds?: boolean } = {},
) {
  const table = new ProjectTable({
    unknown: o.unknown ?? "refuse",
    overrideProjectIds: o.overrideProjectIds ?? false,
    states: projectStates(projectDocument.parse(document)),
  });
  return new Admission(table, new RateLimitTable());
}

const open = { projectId: 42, publicKeys: [{ publicKey: KEY }] };
const request = { key: KEY, projectId: "42", origin: null };
const refused = (reason: "project_id" | "cors", name: "ProjectId" | "Cors"): AdmissionVerdict => ({
  kind: "refused",
  reason,
  name,
});

Deno.test("Admission: a project that is known and open is admitted without limits", () => {
  const policy = admission(open);
  assertEquals<AdmissionVerdict>(policy.decide(request, NOW), {
    kind: "admitted",
    projectId: "42",
    limits: [],
    state: policy.stateOf(request.key),
  });
});

Deno.test("Admission: an unknown key is refused or forwarded as the mode says", () => {
  const unknown = { ...request, key: OTHER };
  assertEquals(admission(open).decide(unknown, NOW), refused("project_id", "ProjectId"));
  assertEquals(admission(open, { unknown: "forward" }).decide(unknown, NOW).kind, "admitted");
  assertEquals(admission(open, { unknown: "wait" }).decide(unknown, NOW).kind, "pending");
  assertEquals(admission(open, { unknown: "wait" }).decide(request, NOW).kind, "admitted");
});

Deno.test("Admission: a disabled project is refused (control reference, section 1)", () => {
  assertEquals(
    admission({ ...open, disabled: true }).decide(request, NOW),
    refused("project_id", "ProjectId"),
  );
});

Deno.test("Admission: another project id is refused, or corrected when overriding", () => {
  const moved = { ...request, projectId: "7" };
  assertEquals(admission(open).decide(moved, NOW), refused("project_id", "ProjectId"));
  const overriding = admission(open, { overrideProjectIds: true }).decide(moved, NOW);
  assertEquals([overriding.kind, overriding.kind === "admitted" && overriding.projectId], ["admitted", "42"]);
});

Deno.test("Admission: the origin is checked after the project", () => {
  const picky = admission({ ...open, config: { allowedDomains: ["example.com"] } });
  assertEquals(picky.decide({ ...request, origin: "http://evil.test/" }, NOW), refused("cors", "Cors"));
  assertEquals(picky.decide({ ...request, origin: "http://example.com/" }, NOW).kind, "admitted");
});

Deno.test("Admission: features an envelope asks for have to be on, if the project is known", () => {
  const featured = admission({ ...open, config: { features: ["a", "b"] } }, { unknown: "forward" });
  const asking = { ...request, requiredFeatures: ["b", "c"] };
  assertEquals<AdmissionVerdict>(featured.decide(asking, NOW), {
    kind: "refused",
    reason: "feature_disabled",
    name: "FeatureDisabled(c)",
  });
  assertEquals(featured.decide({ ...asking, requiredFeatures: ["b"] }, NOW).kind, "admitted");
  assertEquals(featured.decide({ ...asking, key: OTHER }, NOW).kind, "admitted");
});

Deno.test("Admission: a request that names no project belongs to its key's", () => {
  const verdict = admission(open).decide({ ...request, projectId: "" }, NOW);
  assertEquals(verdict.kind === "admitted" && verdict.projectId, "42");
});

Deno.test("Admission: quotas of limit 0 are limits of a minute, before the learned ones", () => {
  const limited = admission({
    ...open,
    config: { quotas: [{ limit: 0, categories: ["error"], reasonCode: "no" }] },
  });
  limited.limits.learn(KEY, parseRateLimits("5:session:key", NOW), NOW);
  const verdict = limited.decide(request, NOW);
  assertEquals(verdict.kind === "admitted" && verdict.limits, [
    { categories: ["error"], scope: "organization", reason: "no", namespaces: [], expiresAtMs: NOW + 60_000 },
    { categories: ["session"], scope: "key", reason: null, namespaces: [], expiresAtMs: NOW + 5_000 },
  ]);
});

Deno.test("RateLimitTable: limits merge, the later expiry wins, expired ones are gone", () => {
  const table = new RateLimitTable();
  table.learn(KEY, parseRateLimits("10:error:key, 10:session:key", NOW), NOW);
  table.learn(KEY, parseRateLimits("60:error:key, 5:session:key", NOW), NOW);
  const left = (nowMs: number) =>
    table.active(KEY, nowMs).map((limit) => [limit.categories[0], limit.expiresAtMs]);
  assertEquals(left(NOW), [["error", NOW + 60_000], ["session", NOW + 10_000]]);
  assertEquals(left(NOW + 10_000), [["error", NOW + 60_000]]);
  assertEquals(left(NOW + 60_000), []);
  assertEquals(table.active(OTHER, NOW), []);
});

Deno.test("RateLimitTable: the key learned longest ago goes first when the table is full", () => {
  const table = new RateLimitTable(2);
  const limits = parseRateLimits("10::key", NOW);
  table.learn("one", limits, NOW);
  table.learn("two", limits, NOW);
  table.learn("one", limits, NOW);
  table.learn("three", limits, NOW);
  assertEquals(["one", "two", "three"].map((key) => table.active(key, NOW).length), [1, 0, 1]);
});

Deno.test("RateLimitTable: a shared limit holds for all keys of the project or organisation, others for their key", () => {
  const table = new RateLimitTable();
  const limit = (scope: RateLimit["scope"]): RateLimit => ({
    categories: [],
    scope,
    reason: scope,
    namespaces: [],
    expiresAtMs: NOW + 1000,
  });
  const ids = { projectId: "42", organizationId: null };
  const owned = ownedLimits(KEY, ids, [limit("organization"), limit("project"), limit("key")]);
  assertEquals(owned.map(({ owner }) => owner), [KEY, "project:42"]);
  for (const { owner, limits } of owned) table.learn(owner, limits, NOW);
  const reasons = (key: string, ids: LimitIds | null, nowMs = NOW) =>
    table.activeFor(key, ids, nowMs).map(({ reason }) => reason);
  assertEquals(reasons(KEY, ids), ["organization", "key", "project"]);
  assertEquals(reasons(OTHER, ids), ["project"]);
  assertEquals(reasons(OTHER, { projectId: "43", organizationId: null }), []);
  assertEquals(reasons(OTHER, null), []);
  assertEquals(reasons(KEY, ids, NOW + 1000), []);
});
