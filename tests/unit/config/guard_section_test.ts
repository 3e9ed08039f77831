import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/config/config_error.ts";
import { loadConfig } from "../../../src/config/load_config.ts";
import { fakeSources } from "../../support/fake_sources.ts";

function load(yaml: string) {
  return loadConfig({ dir: "cfg", sources: fakeSources({ files: { "cfg/config.yml": yaml } }) }).config;
}

Deno.test("guard: zones and rules are read with their defaults; a zone is on by default", () => {
  const { guard } = load(`
guard:
  zones:
    - {key: project_key+address, rate: 600r/m, burst: 20, delay: 5}
    - {name: tenants, key: organization, rate: 100r/s, dry_run: true}
  bans:
    - {on: [rate, malformed], refusals: 10, within: 1m, ban: 2h}
`);
  const defaults = { name: null, burst: 0, delay: null, entries: 65_536, dryRun: false };
  assertEquals(guard.zones, [
    { ...defaults, key: ["project_key", "address"], rate: 10_000, burst: 20, delay: 5 },
    { ...defaults, name: "tenants", key: ["organization"], rate: 100_000, dryRun: true },
  ]);
  assertEquals(guard.bans, [{ on: ["rate", "malformed"], refusals: 10, within: 60_000, ban: 7_200_000 }]);
  assertEquals(load("{}").guard.zones, [{ ...defaults, key: ["address"], rate: 5_000_000, burst: 10_000 }]);
  assertEquals(load("guard: {zones: []}").guard.zones, []);
});

const WRONG: readonly [string, string, readonly string[]][] = [
  ["a rate", "guard:\n  zones:\n    - {key: address, rate: fast}", [
    "3:28: guard.zones.0.rate: must be a rate",
    '"fast"',
  ]],
  ["no rate", "guard:\n  zones:\n    - {key: address}", ["guard.zones.0.rate: must be a rate"]],
  ["a key", "guard:\n  zones:\n    - {rate: 1r/s, key: adress}", [
    "3:25: guard.zones.0.key: must be one of address",
    "address",
  ]],
  ["a part twice", "guard: {zones: [{rate: 1r/s, key: address+address}]}", [
    "guard.zones.0.key: must be one of",
  ]],
  ["an unknown name", "guard: {zones: [{rate: 1r/s, key: address, bust: 1}]}", [
    "guard.zones.0.bust: unknown key",
  ]],
  ["a name", "guard: {zones: [{rate: 1r/s, key: address, name: a b}]}", [
    "guard.zones.0.name: must be a name of",
  ]],
  ["a number of zones", `guard: {zones: [${"{rate: 1r/s, key: address},".repeat(9)}]}`, [
    "guard.zones: must have at most 8 entries",
  ]],
  ["no list", "guard: {zones: 5}", ["guard.zones: must be a list"]],
  ["no zone", "guard: {zones: [5]}", ["guard.zones.0: must be a mapping of keys"]],
  ["an offence", "guard: {bans: [{on: [rude], refusals: 1, within: 1s, ban: 1s}]}", [
    "guard.bans.0.on: must be a list of rate",
  ]],
  ["a public key", "guard: {deny: {project_keys: [abc]}}", [
    "guard.deny.project_keys: must be a list of public keys",
  ]],
];

for (const [what, yaml, parts] of WRONG) {
  Deno.test(`guard: ${what} that is wrong is an error with its place and rule`, () => {
    const { message } = assertThrows(() => load(yaml), ConfigError);
    for (const part of parts) assertStringIncludes(message, part);
  });
}
