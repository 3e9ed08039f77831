import { assertEquals, assertStringIncludes } from "@std/assert";
import { ConfigError, describeProblem } from "../../../src/config/config_error.ts";
import { loadConfig } from "../../../src/config/load_config.ts";
import { fakeSources } from "../../support/fake_sources.ts";
import { runFakeCli } from "../../support/fake_system.ts";
import { TEST_CERTIFICATE, TEST_KEY } from "../../support/test_certificate.ts";

const FILES = { "cfg/cert.pem": TEST_CERTIFICATE, "cfg/key.pem": TEST_KEY };

function problemsOf(yaml: string): string[] {
  const sources = fakeSources({ files: { ...FILES, "cfg/config.yml": yaml } });
  try {
    loadConfig({ dir: "cfg", sources });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(describeProblem);
  }
}

/** Configuration and what is said of it; nothing for one that is right. */
const CASES: readonly [string, string, readonly string[]][] = [
  ["default needs no URL of its own", "upstreams:\n  default: {weight: 2}", []],
  ["a second upstream", "upstreams:\n  next: {url: 'http://a.test', weight: 1}", []],
  ["a name that is none", "upstreams:\n  a b: {url: 'http://a.test'}", [
    'cfg/config.yml:2:8: upstreams.a b: must have a name of letters, digits and - . _, at most 64; received "a b"',
  ]],
  ["no URL", "upstreams:\n  next:\n    weight: 1", [
    "cfg/config.yml:3:5: upstreams.next: must have a url",
  ]],
  ["copies to nobody", "upstreams:\n  default:\n    copy_to: nobody", [
    'cfg/config.yml:3:14: upstreams.default.copy_to: must be the name of an upstream: default; received "nobody"',
  ]],
  ["copies to itself", "upstreams:\n  default:\n    copy_to: default", [
    'cfg/config.yml:3:14: upstreams.default.copy_to: must be another upstream; received "default"',
  ]],
  ["a certificate without its key", "upstreams:\n  default:\n    tls:\n      certificate: ${file:cert.pem}", [
    "cfg/config.yml:4:7: upstreams.default.tls: must have certificate and private_key, or neither",
  ]],
  ["a key without its certificate", "upstreams:\n  default:\n    tls: {private_key: '${file:key.pem}'}", [
    "cfg/config.yml:3:10: upstreams.default.tls: must have certificate and private_key, or neither",
  ]],
  [
    "a client certificate and a proxy",
    "upstreams:\n  default:\n    tls: {certificate: '${file:cert.pem}', private_key: '${file:key.pem}'}\n" +
    "    proxy: http://p.test:3128",
    [
      "cfg/config.yml:4:12: upstreams.default.proxy: must not stand beside tls.certificate, which cannot be shown through a proxy",
    ],
  ],
  [
    "a client certificate and no proxy, whatever the environment says",
    "upstreams:\n  default:\n    tls: {certificate: '${file:cert.pem}', private_key: '${file:key.pem}'}\n" +
    "    proxy: none",
    [],
  ],
  [
    "a list and a file of endpoints",
    "upstreams:\n  default:\n    endpoints: [{address: '127.0.0.1:1'}]\n    endpoints_file: list.yml",
    [
      "cfg/config.yml:4:21: upstreams.default.endpoints_file: must not stand beside endpoints",
    ],
  ],
  ["an endpoint that is nowhere", "upstreams:\n  default:\n    endpoints:\n      - {weight: 2}", [
    "cfg/config.yml:4:9: upstreams.default.endpoints.0: must have exactly one of address, a, aaaa, srv",
  ]],
  [
    "an endpoint in two places",
    "upstreams:\n  default:\n    endpoints:\n      - {a: 'a.test:1'}\n      - {a: 'a.test:1', aaaa: 'a.test:1'}",
    [
      "cfg/config.yml:5:9: upstreams.default.endpoints.1: must have exactly one of address, a, aaaa, srv",
    ],
  ],
  ["no weight at all", "upstreams:\n  default: {weight: 0}", [
    "cfg/config.yml:2:3: upstreams: must have an upstream with a weight above 0",
  ]],
  ["a weight elsewhere", "upstreams:\n  default: {weight: 0}\n  next: {url: 'http://a.test', weight: 1}", []],
  ["a route to nobody", "upstream_routes:\n  - {projects: [1], to: nobody}", [
    'cfg/config.yml:2:25: upstream_routes.0.to: must be the name of an upstream: default; received "nobody"',
  ]],
  [
    "a route to shares, one of them nobody's",
    "upstream_routes:\n  - {projects: [1], to: {default: 1, nobody: 1}}",
    [
      'cfg/config.yml:2:25: upstream_routes.0.to: must be the name of an upstream: default; received "nobody"',
    ],
  ],
];

for (const [what, yaml, expected] of CASES) {
  Deno.test(`checkUpstreams: ${what}`, () => assertEquals(problemsOf(yaml), expected));
}

Deno.test("checkUpstreams: config check names place, rule and value, and ends with 78", async () => {
  const files = { "dir/config.yml": "upstreams:\n  default:\n    copy_to: nobody\n" };
  const { code, err } = await runFakeCli(["config", "check", "-c", "dir"], { files });
  assertEquals(code, 78);
  assertStringIncludes(
    err,
    "dir/config.yml:3:14: upstreams.default.copy_to: must be the name of an upstream",
  );
  assertStringIncludes(err, 'received "nobody"');
});
