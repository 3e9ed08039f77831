import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/config/config_error.ts";
import { loadConfig } from "../../../src/config/load_config.ts";
import { fakeSources } from "../../support/fake_sources.ts";

Deno.test("LoadedConfig.fingerprint: follows every file the load asked for, also those that were missing", () => {
  const files: Record<string, string> = {
    "/c/config.yml": "http: { host_header: '${file:host.txt}' }",
    "/c/host.txt": "a.example",
  };
  const loaded = loadConfig({ dir: "/c", sources: fakeSources({ files }) });
  const before = loaded.fingerprint();
  assertEquals(loaded.fingerprint(), before);
  files["/c/other.txt"] = "nobody asked";
  assertEquals(loaded.fingerprint(), before);
  files["/c/host.txt"] = "b.example";
  const second = loaded.fingerprint();
  assertNotEquals(second, before);
  files["/c/credentials.json"] = "{}";
  assertNotEquals(loaded.fingerprint(), second);
});

Deno.test("LoadedConfig.reload: reads the same again; a failed one is watched by what it asked for", () => {
  const files: Record<string, string> = { "/c/config.yml": "http: { timeout: 7 }" };
  const loaded = loadConfig({ dir: "/c", sources: fakeSources({ files }) });
  files["/c/config.yml"] = "http: { host_header: '${file:host.txt}' }";
  assertThrows(() => loaded.reload(), ConfigError);
  const failed = loaded.fingerprint();
  files["/c/host.txt"] = "a.example";
  assertNotEquals(loaded.fingerprint(), failed);
  assertEquals(loaded.reload().config.http.hostHeader, "a.example");
});
