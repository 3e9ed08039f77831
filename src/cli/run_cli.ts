/** From arguments to an exit code. Every error ends here, as one block on standard error without a stack. */
import { ConfigError } from "../config/config_error.ts";
import { type Command, EXIT, type System, UsageError } from "./command.ts";
import { readCommandLine } from "./command_line.ts";
import { COMMANDS } from "./command_table.ts";
import { renderHelp } from "./help.ts";
import { VERSION } from "../core/version.ts";

/** Runs the command that the arguments name; resolves with the exit code and never rejects. */
export async function runCli(
  args: readonly string[],
  system: System,
  commands: readonly Command[] = COMMANDS,
): Promise<number> {
  try {
    const line = readCommandLine(args, commands);
    if (line.kind === "version") return say(system, `landfall ${VERSION}\n`);
    if (line.kind === "help") return say(system, renderHelp(commands, line.words));
    return await line.command.run(line.invocation, system);
  } catch (error) {
    system.err(`landfall: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof ConfigError) return EXIT.config;
    if (!(error instanceof UsageError)) return EXIT.failure;
    system.err(`Run "landfall help" to see what it can do.\n`);
    return EXIT.usage;
  }
}

function say(system: System, text: string): number {
  system.out(text);
  return EXIT.ok;
}
