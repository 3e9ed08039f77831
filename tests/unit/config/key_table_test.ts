import { assert, assertEquals } from "@std/assert";
import { CONFIG_KEYS } from "../../../src/config/config.ts";
import { renderConfigFile, renderKeyTable } from "../../../src/config/key_table.ts";
import { loadConfig } from "../../../src/config/load_config.ts";
import { fakeSources } from "../../support/fake_sources.ts";

Deno.test("CONFIG_KEYS: every key that does something says what", () => {
  const silent = CONFIG_KEYS.filter((key) => key.effect !== "none" && key.about === "").map((key) => key.key);
  assertEquals(silent, []);
  assertEquals(new Set(CONFIG_KEYS.map((key) => key.key)).size, CONFIG_KEYS.length);
});

Deno.test("renderKeyTable: names every key, and every row has six cells", () => {
  const table = renderKeyTable();
  for (const { key } of CONFIG_KEYS) assert(table.includes(`\`${key}\``), key);
  const rows = table.split("\n").filter((line) => line.startsWith("|"));
  assertEquals(rows.filter((row) => row.split("|").length !== 8), []);
});

Deno.test("renderConfigFile: the file it makes is valid and holds the values and the defaults", () => {
  const text = renderConfigFile(
    new Map([["relay.mode", "static"], ["relay.upstream", "https://up.example:8443"]]),
  );
  const load = (text: string) =>
    loadConfig({ dir: "/c", sources: fakeSources({ files: { "/c/config.yml": text } }) });
  const { config, warnings } = load(text);
  assertEquals(warnings, []);
  assertEquals(config.relay.mode, "static");
  assertEquals(config.relay.upstream, "https://up.example:8443/");
  const plain = load("relay: { mode: static, upstream: 'https://up.example:8443' }").config;
  assertEquals(config, plain);
});

Deno.test("renderConfigFile: with all comments of keys opened it still says the defaults", () => {
  const text = renderConfigFile(new Map());
  const names = new Set(CONFIG_KEYS.map((key) => key.path.at(-1)!));
  const opened = text.replace(/^( *)# ([a-z_]+): (?!\()(.*)$/gm, (line, indent, name, value) => {
    return names.has(name) ? `${indent}${name}: ${value}` : line;
  });
  assert(opened !== text);
  const sources = (text: string) => fakeSources({ files: { "/c/config.yml": text } });
  assertEquals(
    loadConfig({ dir: "/c", sources: sources(opened) }).config,
    loadConfig({ dir: "/c", sources: sources("") }).config,
  );
});
