/** Commands of the program as child processes: from source with the permissions users get, or the executable. */
import { PROJECT_ROOT, sourceArguments } from "./project_tasks.ts";

/** How a command of the program is started. */
export interface CommandOptions {
  /** Executable to start; absent: from source, with the deno that runs the tests. */
  readonly executable?: string;
  /** Variables beside those of the test's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Leaves the test's own environment out. */
  readonly clearEnv?: boolean;
  readonly cwd?: string;
}

/** Runs a command of the program to its end. */
export async function runCommand(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await command(args, options, "piped").output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** Starts a command of the program; standard output goes nowhere, standard error is piped. */
export function spawnCommand(args: readonly string[], options: CommandOptions = {}): Deno.ChildProcess {
  return command(args, options, "null").spawn();
}

/** Starts a command of the program; both outputs are piped. */
export function spawnPiped(args: readonly string[], options: CommandOptions = {}): Deno.ChildProcess {
  return command(args, options, "piped").spawn();
}

function command(args: readonly string[], options: CommandOptions, stdout: "piped" | "null"): Deno.Command {
  const { executable, env = {}, clearEnv = false, cwd = PROJECT_ROOT } = options;
  // A source tree needs its module cache; the executable carries everything.
  const cache = clearEnv && !executable ? { DENO_DIR: denoDir() } : {};
  return new Deno.Command(executable ?? Deno.execPath(), {
    args: executable ? [...args] : [...sourceArguments(), ...args],
    env: { ...(clearEnv ? {} : { NO_COLOR: "1" }), ...cache, ...env },
    clearEnv,
    cwd,
    stdin: "null",
    stdout,
    stderr: "piped",
  });
}

function denoDir(): string {
  return Deno.env.get("DENO_DIR") ??
    `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/deno`;
}
