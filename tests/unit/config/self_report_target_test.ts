import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/config/config_error.ts";
import { loadConfig, type LoadedConfig } from "../../../src/config/load_config.ts";
import { selfReportTarget } from "../../../src/config/self_report_target.ts";
import { fakeSources } from "../../support/fake_sources.ts";

const KEY = "0123456789abcdef0123456789abcdef";

function load(dsn: string | null, relay = "port: 3000"): LoadedConfig {
  const text = `relay: { mode: proxy, ${relay} }\nlistener: { hosts: [pop.example.com] }\n` +
    `sentry: { enabled: true, dsn: ${JSON.stringify(dsn)} }\n`;
  return loadConfig({ dir: "/etc/l", sources: fakeSources({ files: { "/etc/l/config.yml": text } }) });
}

const TABLE: readonly (readonly [place: string, relay: string, kind: "on" | "refused"])[] = [
  ["http://@127.0.0.1:3000/1", "port: 3000", "refused"],
  ["http://@localhost:3000/1", "port: 3000", "refused"],
  ["http://@[::1]:3000/1", "host: '::', port: 3000", "refused"],
  ["http://@0.0.0.0:3000/1", "port: 3000", "refused"],
  ["http://@10.0.0.7:3000/1", "host: 10.0.0.7, port: 3000", "refused"],
  ["http://@localhost/1", "host: 0.0.0.0, port: 80", "refused"],
  ["http://@127.0.0.1:3001/1", "port: 3000, internal_port: 3001", "refused"],
  ["https://@pop.example.com/1", "port: 3000", "refused"],
  ["http://@127.0.0.1:3001/1", "port: 3000", "on"],
  ["http://@127.0.0.1:3000/1", "host: 10.0.0.7, port: 3000", "on"],
  ["https://@o1.ingest.sentry.io/1", "port: 443", "on"],
];

Deno.test("selfReportTarget: a DSN of this very node is refused with a warning", () => {
  for (const [place, relay, kind] of TABLE) {
    const loaded = load(place.replace("@", `${KEY}@`), relay);
    assertEquals(selfReportTarget(loaded.config).kind, kind, `${place} at ${relay}`);
    const warned = loaded.warnings.some((warning) => warning.startsWith("sentry.dsn points to this node"));
    assertEquals(warned, kind === "refused", place);
  }
});

Deno.test("selfReportTarget: without a DSN there is a warning, with a wrong one an error that does not show it", () => {
  assertEquals(load(null).warnings, ["sentry.enabled has no effect without sentry.dsn"]);
  const error = assertThrows(() => load("https://geheim@host/1"), ConfigError);
  assert(error.message.includes("must be a DSN"), error.message);
  assert(!error.message.includes("geheim"), error.message);
});
