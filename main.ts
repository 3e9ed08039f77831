/** Entry point of the program. */
import { processSystem } from "./src/cli/process_system.ts";
import { runCli } from "./src/cli/run_cli.ts";

Deno.exit(await runCli(Deno.args, processSystem()));
