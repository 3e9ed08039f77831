import { assert, assertEquals } from "@std/assert";
import { connectionsWithinOpenFiles } from "../../../src/listener/open_files.ts";

Deno.test("connectionsWithinOpenFiles shares the descriptors among listeners and leaves some to each", () => {
  const one = connectionsWithinOpenFiles(1);
  assert(one >= 16);
  assertEquals(connectionsWithinOpenFiles(2), Math.max(16, Math.floor(one / 2)));
  assertEquals(connectionsWithinOpenFiles(1e9), 16);
});
