import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/config/config_error.ts";
import { loadConfig } from "../../../src/config/load_config.ts";
import { TlsFiles } from "../../../src/lane/tls_files.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";
import { fakeSources } from "../../support/fake_sources.ts";
import { TEST_CERTIFICATE, TEST_KEY, TEST_ROOT } from "../../support/test_certificate.ts";

const EXPIRES = Date.UTC(2120, 0, 1);

/** Files in memory, with certificates of a configuration that names them. */
function tlsFiles(initial: Record<string, string>) {
  const files = new Map(Object.entries(initial));
  const metrics = new Metrics(METRIC_LAYOUT);
  const text = "relay: { tls_port: 443, tls_cert_path: cert, tls_key_path: key }";
  const loaded = loadConfig({ dir: "/c", sources: fakeSources({ files: { "/c/config.yml": text } }) });
  const reader = {
    read(path: string): string {
      const found = files.get(path);
      if (found === undefined) throw new Deno.errors.NotFound(`no such file: ${path}`);
      return found;
    },
    stamp: (path: string) => files.get(path) ?? "",
  };
  return { files, metrics, tls: new TlsFiles(loaded, metrics, reader) };
}

Deno.test("TlsFiles: certificates are read, and when they expire is told", () => {
  const { tls, metrics } = tlsFiles({ cert: TEST_CERTIFICATE, key: TEST_KEY });
  tls.load(EXPIRES - 90_000);
  assertEquals(tls.material, [{ certificate: TEST_CERTIFICATE, key: TEST_KEY }]);
  assertEquals(metrics.read(METRICS.tlsExpiry), 90);
  tls.observe(EXPIRES + 5000);
  assertEquals(metrics.read(METRICS.tlsExpiry), -5);
});

Deno.test("TlsFiles: files that cannot be used are an error at the start, which never holds the key", () => {
  for (
    const [files, rule] of [
      [{ key: TEST_KEY }, "relay.tls_cert_path: cannot be read"],
      [{ cert: "rubbish", key: TEST_KEY }, "holds no certificate in PEM"],
      [{ cert: TEST_CERTIFICATE, key: "rubbish" }, "holds no private key in PEM"],
      [{ cert: TEST_ROOT, key: TEST_KEY }, "certificate and key do not belong together"],
    ] as const
  ) {
    const error = assertThrows(() => tlsFiles(files).tls.load(0), ConfigError);
    assertStringIncludes(error.message, rule);
    assertStringIncludes(error.message, "/c/config.yml:1:");
    assertEquals(error.message.includes("PRIVATE"), false);
  }
});

Deno.test("TlsFiles: a change is taken up at the next look, a broken one reported once and left", () => {
  const { tls, files, metrics } = tlsFiles({ cert: TEST_CERTIFICATE, key: TEST_KEY });
  tls.load(0);
  const before = tls.material;
  assertEquals(tls.reloadIfDue(0), null);
  // The certificate was written, the key was not yet.
  files.set("cert", TEST_ROOT);
  assertEquals(tls.reloadIfDue(10), null);
  for (let elapsed = 1000; elapsed < 5000; elapsed += 1000) assertEquals(tls.reloadIfDue(elapsed), null);
  assertEquals(tls.material, before);
  assertEquals([metrics.read(METRICS.tlsReloads, "error"), metrics.read(METRICS.tlsReloads, "ok")], [1, 0]);
  files.delete("cert");
  assertEquals(tls.reloadIfDue(6000), null);
  files.set("cert", `${TEST_CERTIFICATE}\n`);
  assertEquals(tls.reloadIfDue(6500), null);
  assertEquals(tls.reloadIfDue(7000), [{ certificate: `${TEST_CERTIFICATE}\n`, key: TEST_KEY }]);
  assertEquals([metrics.read(METRICS.tlsReloads, "error"), metrics.read(METRICS.tlsReloads, "ok")], [2, 1]);
  assertEquals(tls.reloadIfDue(9000), null);
});
