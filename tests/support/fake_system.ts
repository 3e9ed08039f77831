import type { System } from "../../src/cli/command.ts";
import { runCli } from "../../src/cli/run_cli.ts";
import type { LoadedConfig } from "../../src/config/load_config.ts";
import { systemClock } from "../../src/core/clock.ts";
import { fakeSources } from "./fake_sources.ts";

/** What a command line did. */
export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Configuration of the node that was started. */
  readonly started: LoadedConfig | null;
  /** Files written: path to text. */
  readonly written: Readonly<Record<string, string>>;
}

/** Runs a command line in a process that is made up. */
export async function runFakeCli(
  args: readonly string[],
  o: Parameters<typeof fakeSources>[0] & Partial<Pick<System, "clock" | "runNode">> = {},
): Promise<CliRun> {
  let out = "";
  let err = "";
  let started: LoadedConfig | null = null;
  const written: Record<string, string> = {};
  const system: System = {
    sources: fakeSources(o),
    clock: o.clock ?? systemClock,
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    writeNew(path, text) {
      if (o.files?.[path] !== undefined) throw new Deno.errors.AlreadyExists(path);
      written[path] = text;
    },
    runNode: (loaded) => {
      started = loaded;
      return o.runNode?.(loaded) ?? Promise.resolve(0);
    },
  };
  const code = await runCli(args, system);
  return { code, out, err, started, written };
}
