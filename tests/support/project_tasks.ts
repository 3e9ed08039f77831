/** What deno.json says about running and compiling a node, so that tests use the very flags that users get. */
import { join } from "node:path";

type Permissions = Readonly<Record<string, boolean | readonly string[]>>;

interface ProjectFile {
  readonly tasks: Readonly<Record<string, { readonly command: string }>>;
  readonly permissions: Readonly<Record<string, Permissions>>;
}

/** Root of the source tree, without a slash at its end. */
export const PROJECT_ROOT: string = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

const project: ProjectFile = JSON.parse(Deno.readTextFileSync(join(PROJECT_ROOT, "deno.json")));

/** Arguments for `deno` that start a command of main.ts from source, with the permissions of the task `run`. */
export function sourceArguments(): string[] {
  const [, subcommand, ...flags] = commandWords("run");
  const upToMain = flags.slice(0, flags.indexOf("main.ts")).flatMap(spellOut);
  const config = ["--config", join(PROJECT_ROOT, "deno.json")];
  return [subcommand!, ...config, "--no-prompt", "--quiet", ...upToMain, join(PROJECT_ROOT, "main.ts")];
}

/** Arguments for `deno` that build the executable at `output` with the flags of the task `compile`. */
export function compileArguments(output: string): string[] {
  const [, subcommand, ...flags] = commandWords("compile");
  const place = flags.indexOf("--output");
  if (place < 0) throw new Error("The task compile in deno.json names no --output");
  // Types are checked by a gate of their own, with the types of one runtime.
  return [subcommand!, "--quiet", "--no-check", ...flags.with(place + 1, output).flatMap(spellOut)];
}

function commandWords(task: string): string[] {
  const command = project.tasks[task]?.command;
  if (!command?.startsWith("deno ")) {
    throw new Error(`The task ${task} in deno.json does not start with deno`);
  }
  return command.split(" ");
}

/** Permission sets (`-P=name`) written as single flags, because not every runtime the tests use knows them. */
function spellOut(flag: string): string[] {
  const name = /^(?:-P|--permission-set)=(.+)$/.exec(flag)?.[1];
  if (!name) return [flag];
  return Object.entries(project.permissions[name] ?? {}).flatMap(([kind, value]) => {
    if (value === false) return [];
    return [value === true ? `--allow-${kind}` : `--allow-${kind}=${(value as readonly string[]).join(",")}`];
  });
}
