/** That an editor marks nothing the node takes, and does mark the usual slips. */
import { assert, assertEquals } from "@std/assert";
import { z } from "zod";
import { parse } from "yaml";
import { CONFIG_KEYS } from "../../../src/config/config.ts";
import { EDITOR_SCHEMA } from "../../../src/config/editor_schema.ts";
import type { JsonSchema } from "../../../src/config/json_schema.ts";
import { renderConfigFile } from "../../../src/config/key_table.ts";
import { loadConfig } from "../../../src/config/load_config.ts";
import { putAt, type Tree } from "../../../src/config/tree.ts";
import { fakeSources } from "../../support/fake_sources.ts";

const validator = z.fromJSONSchema(EDITOR_SCHEMA);
const accepts = (tree: unknown): boolean => validator.safeParse(tree).success;

function isLoadable(tree: Tree): boolean {
  try {
    loadConfig({ dir: "/c", sources: fakeSources({ files: { "/c/config.yml": JSON.stringify(tree) } }) });
    return true;
  } catch {
    return false;
  }
}

/** The schema at a dotted key. */
function schemaAt(path: readonly string[]): JsonSchema | undefined {
  let schema: JsonSchema | undefined = EDITOR_SCHEMA;
  for (const name of path) schema = (schema?.properties as Record<string, JsonSchema> | undefined)?.[name];
  return schema;
}

const RELAY_KEY = "JOaR2bHZ31zYjFojC7UhPOidzfT3qOQgT9WEBw1JAKU";

/** Values of every kind, right for some keys and wrong for others. */
const VALUES: readonly unknown[] = [
  null,
  true,
  "false",
  0,
  0.4,
  7,
  "7",
  -1,
  "7s",
  "2MiB",
  "auto",
  "none",
  "Debug",
  "gzip",
  "https://up.example:8443",
  "127.0.0.1",
  "/a",
  "",
  [],
  ["192.0.2.0/24"],
  ["x.example"],
  [77],
  [{ cert: "a.pem", key: "b.pem" }],
  [{ key: "address", rate: "5r/s" }],
  [{ on: ["rate"], refusals: 3, within: "1m", ban: 60 }],
  [{ projects: [1], to: { default: 1 } }],
  { default: { weight: 1, endpoints: [{ a: "up.example:443" }] }, other: { url: "https://b.example" } },
  { "cde0d72e-0c4e-4550-a934-c1867d8a177c": { public_key: RELAY_KEY, internal: true } },
  { name: "x" },
];

Deno.test("editor schema: takes whatever the node takes, key by key", () => {
  const marked: string[] = [];
  let taken = 0;
  for (const { key, path } of CONFIG_KEYS) {
    for (const value of VALUES) {
      const tree: Tree = {};
      putAt(tree, path, value);
      if (!isLoadable(tree)) continue;
      taken++;
      if (!accepts(tree)) marked.push(`${key}: ${JSON.stringify(value)}`);
    }
  }
  assertEquals(marked, []);
  assert(taken > CONFIG_KEYS.length * 2, String(taken));
});

Deno.test("editor schema: every key has its meaning, every default that is none of the machine's is one of its values", () => {
  for (const { key, path, about, derived, default: value, effect } of CONFIG_KEYS) {
    const schema = schemaAt(path);
    assert(typeof schema?.description === "string" && schema.description.includes(about), key);
    assertEquals(schema.deprecated === true, effect === "none", key);
    if (derived) continue;
    assertEquals(schema.default, value, key);
    const tree: Tree = {};
    putAt(tree, path, value);
    assert(accepts(tree), key);
  }
});

Deno.test("editor schema: takes the file of config init, and a reference wherever a scalar may stand", () => {
  assert(accepts(parse(renderConfigFile(new Map([["relay.mode", "proxy"]])))));
  assert(accepts({
    relay: { mode: "${MODE}", port: "${PORT}" },
    http: { forward: "${FORWARD}", encoding: "${ENCODING}" },
    limits: { max_event_size: "${file:size}" },
  }));
});

Deno.test("editor schema: marks names nobody knows, and values of another kind", () => {
  for (
    const wrong of [
      { htp: {} },
      { http: { timeot: 3 } },
      { relay: { mode: "proxi" } },
      { relay: { port: 70_000 } },
      { http: { forward: "yes" } },
      { guard: { zones: [{ key: "address" }] } },
      { guard: { zones: [{ key: "address", rate: "1r/s", burts: 1 }] } },
      { upstreams: { default: { urll: "https://a.example" } } },
      { limits: [] },
    ]
  ) assert(!accepts(wrong), JSON.stringify(wrong));
});
