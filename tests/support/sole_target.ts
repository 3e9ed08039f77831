import { ForwardTarget, type ForwardTargetOptions } from "../../src/upstream/forward_target.ts";
import type { ForwardTargets } from "../../src/upstream/forwarder.ts";

/** Options of {@link soleTarget}. */
export type SoleTargetOptions =
  & Omit<ForwardTargetOptions, "name" | "timing">
  & ForwardTargetOptions["timing"];

/** Everything goes to one upstream. */
export function soleTarget(options: SoleTargetOptions): ForwardTargets {
  const target = new ForwardTarget({ name: "default", timing: options, ...options });
  return { all: [target], of: () => target, delivered() {}, close: () => target.close() };
}
