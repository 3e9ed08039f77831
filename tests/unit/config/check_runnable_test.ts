import { assertEquals } from "@std/assert";
import { checkRunnable } from "../../../src/config/check_runnable.ts";
import { describeProblem } from "../../../src/config/config_error.ts";
import { loadConfig } from "../../../src/config/load_config.ts";
import { fakeSources } from "../../support/fake_sources.ts";

const problemsOf = (yaml: string): string[] =>
  checkRunnable(loadConfig({ dir: "cfg", sources: fakeSources({ files: { "cfg/config.yml": yaml } }) }))
    .map(describeProblem);

/** Configuration and what is said of it; nothing for one that can be run. */
const CASES: readonly [string, string, readonly string[]][] = [
  ["a proxy needs nothing", "relay: {mode: proxy}", []],
  ["an admin listener that others reach without a token", "relay: {mode: proxy}\nadmin:\n  host: 0.0.0.0", [
    "cfg/config.yml:3:9: admin.token: must be set, because admin.host 0.0.0.0 can be reached from elsewhere",
  ]],
  ["one with a token", "relay: {mode: proxy}\nadmin: {host: 0.0.0.0, token: secret}", []],
  ["one on a socket", "relay: {mode: proxy}\nadmin: {host: 0.0.0.0, socket: /run/admin.sock}", []],
  ["one on another loopback address", "relay: {mode: proxy}\nadmin: {host: 127.0.0.9}", []],
  ["mode managed without an identity", "relay:\n  mode: managed", [
    'cfg/config.yml:2:9: relay.mode: mode managed needs an identity; "landfall credentials generate" makes one; received "managed"',
  ]],
  ["a TLS port without files stands where the port does", "relay:\n  mode: proxy\n  tls_port: 3443", [
    "cfg/config.yml:3:13: relay.tls_cert_path: must be set, because relay.tls_port is",
    "cfg/config.yml:3:13: relay.tls_key_path: must be set, because relay.tls_port is",
  ]],
  ["TLS files without a port", "relay:\n  mode: proxy\n  tls_cert_path: a.pem\n  tls_key_path: b.pem", [
    'cfg/config.yml:3:18: relay.tls_cert_path: has no effect without relay.tls_port; received "a.pem"',
    'cfg/config.yml:4:17: relay.tls_key_path: has no effect without relay.tls_port; received "b.pem"',
  ]],
  [
    "certificates by host without a TLS port",
    "relay: {mode: proxy}\nlistener:\n  tls_certificates:\n    - {cert: a, key: b}",
    ["cfg/config.yml:4:5: listener.tls_certificates: has no effect without relay.tls_port"],
  ],
  [
    "what a load balancer does itself",
    "relay: {mode: proxy}\nlistener:\n  exposure: load_balancer\n  trusted_proxies: [10.0.0.0/8]\n" +
    "  proxy_protocol: trusted\n  tls_certificates: [{cert: a, key: b}]",
    [
      "cfg/config.yml:6:21: listener.tls_certificates: needs listener.exposure internet; a balancer asks for one host",
      'cfg/config.yml:5:19: listener.proxy_protocol: needs listener.exposure internet; received "trusted"',
    ],
  ],
  [
    "roots of a store that is asked without TLS",
    "relay: {mode: proxy}\nquotas:\n  store: redis://127.0.0.1\n  store_ca: '-----BEGIN CERTIFICATE-----'",
    ["cfg/config.yml:4:13: quotas.store_ca: has no effect unless quotas.store is a rediss:// URL"],
  ],
  [
    "roots of a store with TLS",
    "relay: {mode: proxy}\nquotas:\n  store: rediss://127.0.0.1\n  store_ca: '-----BEGIN CERTIFICATE-----'",
    [],
  ],
  [
    "two zones of one name",
    "relay: {mode: proxy}\nguard:\n  zones:\n    - {key: address, rate: 1r/s}\n    - {key: address, rate: 60r/h}",
    ['cfg/config.yml:4:5: guard.zones: every zone needs a name of its own; received "address"'],
  ],
  [
    "two zones with the same key and names of their own",
    "relay: {mode: proxy}\nguard:\n  zones:\n    - {key: address, rate: 1r/s}\n    - {name: long, key: address, rate: 60r/h}",
    [],
  ],
];

for (const [what, yaml, expected] of CASES) {
  Deno.test(`checkRunnable: ${what}`, () => assertEquals(problemsOf(yaml), expected));
}
