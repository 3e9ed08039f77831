/** Help, made from the command table. */
import { type Command, type Flag, UsageError } from "./command.ts";
import { COMMON_FLAGS } from "./command_line.ts";
import { VERSION } from "../core/version.ts";

/**
 * The help of a command, of a group of commands, or of the program when `words` is empty.
 *
 * @throws {UsageError} there is no such command
 */
export function renderHelp(commands: readonly Command[], words: readonly string[] = []): string {
  if (words.length === 0) return programHelp(commands);
  const name = words.join(" ");
  const command = commands.find((candidate) => candidate.name === name);
  if (command) return commandHelp(command);
  const group = commands.filter((candidate) => candidate.name.startsWith(`${name} `));
  if (group.length === 0) throw new UsageError(`there is no command "${name}"`);
  return `Usage: landfall ${name} COMMAND\n\nCommands:\n${commandRows(group)}`;
}

function programHelp(commands: readonly Command[]): string {
  return `landfall ${VERSION}: a point of presence for Sentry telemetry

Usage: landfall [-c DIR] COMMAND [FLAGS]

Commands:
${commandRows(commands)}
Flags of every command:
${flagRows(COMMON_FLAGS)}
Exit codes: 0 done, 1 failed, 64 the command line is wrong, 78 the configuration is wrong.
`;
}

function commandHelp({ name, about, details, flags, operands }: Command): string {
  const usage = ["landfall [-c DIR]", name, flags && "[FLAGS]", operands].filter(Boolean).join(" ");
  const sections = [`${about}.\n`, `Usage: ${usage}\n`];
  if (details) sections.push(`${details}\n`);
  if (flags) sections.push(`Flags:\n${flagRows(flags)}`);
  sections.push(`Flags of every command:\n${flagRows(COMMON_FLAGS)}`);
  return sections.join("\n");
}

function commandRows(commands: readonly Command[]): string {
  return rows(commands.map(({ name, about }) => [name, about]));
}

function flagRows(flags: Readonly<Record<string, Flag>>): string {
  return rows(
    Object.entries(flags).map(([name, { short, value, about }]) => {
      return [`${short ? `-${short}, ` : "    "}--${name}${value ? ` ${value}` : ""}`, about];
    }),
  );
}

function rows(pairs: readonly (readonly [string, string])[] | readonly string[][]): string {
  const width = Math.max(...pairs.map(([left]) => left!.length));
  return pairs.map(([left, right]) => `  ${left!.padEnd(width)}  ${right}\n`).join("");
}
