/**
 * Reads a command line by the command table.
 *
 * Flags may stand before or after the command (`landfall -c DIR run`, `landfall run -c DIR`), so the flags of all
 * commands are known to one parse, and whether a flag belongs to the command is checked afterwards. That is why a flag
 * name must mean the same kind of flag in every command.
 */
import { parseArgs } from "node:util";
import { nearestName } from "../core/nearest.ts";
import { type Command, type Flag, type Invocation, UsageError } from "./command.ts";

/** Flags every command has. */
export const COMMON_FLAGS: Readonly<Record<string, Flag>> = {
  config: { short: "c", value: "DIR", about: "Folder of config.yml (default .landfall)" },
  help: { short: "h", about: "Show help" },
  version: { short: "V", about: "Show the version" },
};

/** What a command line asks for. */
export type CommandLine =
  | { readonly kind: "help"; readonly words: readonly string[] }
  | { readonly kind: "version" }
  | { readonly kind: "command"; readonly command: Command; readonly invocation: Invocation };

/**
 * Reads the arguments that follow the program's name.
 *
 * @throws {UsageError} unknown command or flag, a missing or surplus value or operand
 */
export function readCommandLine(args: readonly string[], commands: readonly Command[]): CommandLine {
  const known = new Map(Object.entries(COMMON_FLAGS));
  for (const command of commands) {
    for (const [name, flag] of Object.entries(command.flags ?? {})) known.set(name, flag);
  }
  const { words, flags } = tokenize(args, known);
  if (flags.has("version")) return { kind: "version" };
  const command = findCommand(words, commands);
  if (flags.has("help")) return { kind: "help", words: command ? command.name.split(" ") : words };
  if (!command) throw unknownCommand(words, commands);

  for (const name of flags.keys()) {
    if (name in COMMON_FLAGS || command.flags?.[name]) continue;
    const own = Object.keys({ ...command.flags, ...COMMON_FLAGS });
    throw new UsageError(`${command.name} has no flag --${name}${hint(name, own, "--")}`);
  }
  const operands = words.slice(command.name.split(" ").length);
  if (operands.length > 0 && !command.operands) {
    throw new UsageError(`${command.name} does not take "${operands[0]}"`);
  }
  const configDir = flags.get("config");
  flags.delete("config");
  return { kind: "command", command, invocation: { configDir, flags, operands } };
}

function tokenize(
  args: readonly string[],
  known: ReadonlyMap<string, Flag>,
): { words: string[]; flags: Map<string, string> } {
  const options = Object.fromEntries(
    [...known].map(([name, { value, short }]) => {
      return [name, { type: value ? "string" as const : "boolean" as const, ...short && { short } }];
    }),
  );
  const { tokens } = parseArgs({
    args: [...args],
    options,
    // Not strict, because the errors of a strict parse name no nearest flag.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const words: string[] = [];
  const flags = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const flag = known.get(token.name);
    if (!flag) throw new UsageError(`unknown flag ${token.rawName}${hint(token.name, known.keys(), "--")}`);
    if (!flag.value && token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`);
    const swallowed = token.value?.startsWith("-") && !token.inlineValue && token.value !== "-";
    if (flag.value && (token.value === undefined || swallowed)) {
      throw new UsageError(`${token.rawName} needs a value (${flag.value})`);
    }
    flags.set(token.name, token.value ?? "");
  }
  return { words, flags };
}

function findCommand(words: readonly string[], commands: readonly Command[]): Command | undefined {
  return commands.find(({ name }) => name.split(" ").every((word, index) => words[index] === word));
}

function unknownCommand(words: readonly string[], commands: readonly Command[]): UsageError {
  if (words.length === 0) return new UsageError("no command given");
  const group = commands.filter(({ name }) => name.startsWith(`${words[0]} `));
  if (group.length > 0) {
    const members = group.map(({ name }) => name.split(" ")[1]!);
    const given = words[1] === undefined ? "needs" : `does not know "${words[1]}" but`;
    return new UsageError(
      `${words[0]} ${given} one of ${members.join(", ")}${hint(words[1] ?? "", members, "")}`,
    );
  }
  const names = new Set(commands.flatMap(({ name }) => name.split(" ")[0]!));
  return new UsageError(`unknown command "${words[0]}"${hint(words[0]!, names, "")}`);
}

function hint(name: string, candidates: Iterable<string>, dashes: string): string {
  const nearest = nearestName(name, candidates);
  return nearest === undefined ? "" : ` (did you mean ${dashes}${nearest}?)`;
}
