/** Tests of whole nodes, once from source and once with the executable. */
import { compiledNode } from "./compiled_node.ts";
import type { NodeProcessOptions } from "./node_process.ts";
import { report } from "./report.ts";

/** How to start the node under test; to be spread into the options of a `NodeProcess`. */
export type NodeVariant = Pick<NodeProcessOptions, "executable">;

const executable = await compiledNode();
if (executable.kind === "unavailable") report(`The executable is not tested: ${executable.why}`);

/** Registers a test for the source tree and one for the executable, which is skipped where it cannot be built. */
export function testEachNode(
  name: string,
  fn: (t: Deno.TestContext, variant: NodeVariant) => Promise<void>,
  options: { ignore?: boolean } = {},
): void {
  const ignore = options.ignore ?? false;
  Deno.test({ name: `${name}, from source`, ignore, fn: (t) => fn(t, {}) });
  Deno.test({
    name: `${name}, with the executable`,
    ignore: ignore || executable.kind === "unavailable",
    fn: (t) => fn(t, executable.kind === "built" ? { executable: executable.path } : {}),
  });
}
