import { assertEquals, assertThrows } from "@std/assert";
import { benchFlags, LOAD_FLAGS } from "../../bench/support/bench_flags.ts";

Deno.test("benchFlags: what is not given has its default, what is not known is an error", () => {
  const defaults = { ...LOAD_FLAGS, rate: null, compare: false };
  assertEquals(benchFlags(defaults, []), defaults);
  const given = benchFlags(defaults, ["--compare", "--rate", "7", "--clients=8"]);
  assertEquals(given, { ...defaults, compare: true, rate: "7", clients: "8" });
  assertThrows(() => benchFlags(defaults, ["--client", "8"]), Error, "--client");
});
