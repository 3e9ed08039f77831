import { assertEquals } from "@std/assert";
import {
  categoryOfPath,
  organizationOf,
  projectIdOf,
  projectKeyOf,
  zoneKey,
} from "../../../src/guard/request_keys.ts";

const KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";

function head(path: string, query = "", headers: Record<string, string> = {}) {
  return { path, query, header: (name: string) => headers[name] ?? null };
}

Deno.test("projectKeyOf: in query, headers and path; what has another length is none", () => {
  const envelope = "/api/1/envelope/";
  assertEquals(projectKeyOf(head(envelope, `sentry_version=7&sentry_key=${KEY}&x=1`)), KEY);
  assertEquals(
    projectKeyOf(head(envelope, "", { "x-sentry-auth": `Sentry sentry_key=${KEY}, sentry_version=7` })),
    KEY,
  );
  assertEquals(projectKeyOf(head(envelope, "", { authorization: `Sentry sentry_key=${KEY}` })), KEY);
  for (const pair of [`${KEY}:`, `${KEY}:secret`]) {
    assertEquals(projectKeyOf(head(envelope, "", { authorization: `Basic ${btoa(pair)}` })), KEY);
  }
  for (const pair of [KEY, `${KEY}x:`, "user:password"]) {
    assertEquals(projectKeyOf(head(envelope, "", { authorization: `Basic ${btoa(pair)}` })), "");
  }
  assertEquals(projectKeyOf(head(`/api/1/unreal/${KEY}/`)), KEY);
  assertEquals(projectKeyOf(head(`/api/1/cron/slug/${KEY}`)), KEY);
  for (const none of [head(envelope), head(envelope, "sentry_key=abc"), head("/api/1/cron/slug")]) {
    assertEquals(projectKeyOf(none), "");
  }
});

Deno.test("projectIdOf: the number after /api/", () => {
  const cases: Record<string, string> = {
    "/api/42/envelope/": "42",
    "/api/0042/store/": "42",
    "/api/0/relays/": "",
    "/api/store/": "",
    "/api/42": "",
    "/api/42x/store/": "",
    "/api/123456789012345678901/store/": "",
    "/other/42/": "",
  };
  for (const [path, id] of Object.entries(cases)) assertEquals(projectIdOf(head(path)), id, path);
});

Deno.test("zoneKey: parts joined; a part that is missing leaves the request out", () => {
  const request = head("/api/42/envelope/", "", { host: "o7.ingest.example.com" });
  assertEquals(organizationOf(request), "7");
  assertEquals(organizationOf(head("/", "", { host: "ingest.example.com" })), "");
  assertEquals(zoneKey(["address", "project_id"], request, "192.0.2.1"), "192.0.2.1 42");
  assertEquals(zoneKey(["organization"], request, ""), "7");
  assertEquals(zoneKey(["address", "project_id"], request, ""), "");
  assertEquals(zoneKey(["address", "project_key"], request, "192.0.2.1"), "");
});

Deno.test("categoryOfPath: what a path says of its body", () => {
  assertEquals(
    ["/api/1/envelope/", "/api/1/store/", "/api/1/unreal/k/", "/api/1/security/", "/api/1/cron/x/"].map(
      categoryOfPath,
    ),
    ["default", "error", "error", "security", "monitor"],
  );
});
