import { VERSION } from "../../core/version.ts";
import type { Command, Flag } from "../command.ts";
import { COMMON_FLAGS } from "../command_line.ts";

/** The manual page, section 1, made from the command table. */
export function manPage(commands: readonly Command[]): string {
  return [
    `.TH LANDFALL 1 "" "landfall ${VERSION}"`,
    ".SH NAME",
    "landfall \\- point of presence for Sentry telemetry",
    ".SH SYNOPSIS",
    ".B landfall",
    `[${text("-c DIR")}] COMMAND [FLAGS]`,
    ".SH DESCRIPTION",
    text("Answers Sentry SDKs near them, keeps what they send on its own disk, and forwards it to a Sentry."),
    ".SH COMMANDS",
    ...commands.flatMap(commandLines),
    ".SH FLAGS OF EVERY COMMAND",
    ...flagLines(COMMON_FLAGS),
    ".SH EXIT STATUS",
    text("0 done, 1 failed, 64 the command line is wrong, 78 the configuration is wrong."),
    "",
  ].join("\n");
}

function commandLines({ name, about, details, flags, operands }: Command): string[] {
  const usage = [name, flags && "[FLAGS]", operands].filter(Boolean).join(" ");
  return [
    `.SS ${text(usage)}`,
    text(`${about}.`),
    ...details ? [".PP", ".nf", ...details.split("\n").map(text), ".fi"] : [],
    ...flagLines(flags ?? {}),
  ];
}

function flagLines(flags: Readonly<Record<string, Flag>>): string[] {
  return Object.entries(flags).flatMap(([name, { short, value, about }]) => [
    ".TP",
    `.B ${text(`${short ? `-${short}, ` : ""}--${name}${value ? ` ${value}` : ""}`)}`,
    text(about),
  ]);
}

/** Text that roff takes for text: no escapes, no requests, hyphens that can be copied. */
function text(line: string): string {
  return line.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^[.']/, "\\&$&").replaceAll("…", "...");
}
