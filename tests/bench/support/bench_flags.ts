/** The command line of the benches. */
import { parseArgs } from "node:util";

/** What a flag is without being given: a text, `false` for a switch, null for nothing. */
type Defaults = Readonly<Record<string, string | boolean | null>>;

/** Values of flags by name. */
export type Flags<D extends Defaults> = {
  readonly [Name in keyof D]: D[Name] extends boolean ? boolean
    : D[Name] extends null ? string | null
    : string;
};

/** Flags of every bench that sends load: requests in all, connections, interleaved rounds, size of a body. */
export const LOAD_FLAGS = { requests: "20000", clients: "64", rounds: "5", bytes: "1200" };

/** Reads the command line; a flag that is not among `defaults` is an error. */
export function benchFlags<D extends Defaults>(defaults: D, args: readonly string[] = Deno.args): Flags<D> {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [
      name,
      { type: typeof value === "boolean" ? "boolean" as const : "string" as const },
    ]),
  );
  return { ...defaults, ...parseArgs({ args: [...args], options }).values } as Flags<D>;
}
