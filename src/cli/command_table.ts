/** All commands, in the order of the help. Dispatch and help are made from this table alone. */
import { type Command, EXIT } from "./command.ts";
import { bansAddCommand, bansLsCommand, bansRemoveCommand } from "./ban_commands.ts";
import { configCheckCommand } from "./config_check_command.ts";
import { configDiffCommand, configReloadCommand } from "./config_live_commands.ts";
import { configInitCommand } from "./config_init_command.ts";
import { configSchemaCommand } from "./config_schema_command.ts";
import { configShowCommand } from "./config_show_command.ts";
import {
  credentialsGenerateCommand,
  credentialsRemoveCommand,
  credentialsSetCommand,
  credentialsShowCommand,
} from "./credentials_commands.ts";
import { devCommand } from "./dev_command.ts";
import { explainCommand } from "./explain_command.ts";
import { healthcheckCommand } from "./healthcheck_command.ts";
import { renderHelp } from "./help.ts";
import { runCommand } from "./run_command.ts";
import { spoolPurgeCommand, spoolRequeueCommand } from "./spool_change_commands.ts";
import { spoolExportCommand } from "./spool_export_command.ts";
import { spoolLsCommand } from "./spool_ls_command.ts";
import { spoolShowCommand } from "./spool_show_command.ts";
import { spoolVerifyCommand } from "./spool_verify_command.ts";
import { printCommand } from "./print_command.ts";
import { sendCommand } from "./send_command.ts";
import { statusCommand } from "./status_command.ts";
import { tapCommand } from "./tap_command.ts";
import { topCommand } from "./top_command.ts";
import { VERSION } from "../core/version.ts";

const helpCommand: Command = {
  name: "help",
  about: "Show what a command does",
  operands: "[COMMAND]",
  run({ operands }, { out }) {
    out(renderHelp(COMMANDS, operands));
    return EXIT.ok;
  },
};

const versionCommand: Command = {
  name: "version",
  about: "Show the version",
  run(_, { out }) {
    out(`landfall ${VERSION}\n`);
    return EXIT.ok;
  },
};

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  runCommand,
  devCommand,
  configInitCommand,
  configCheckCommand,
  configShowCommand,
  configSchemaCommand,
  configDiffCommand,
  configReloadCommand,
  credentialsGenerateCommand,
  credentialsShowCommand,
  credentialsSetCommand,
  credentialsRemoveCommand,
  healthcheckCommand,
  statusCommand,
  topCommand,
  tapCommand,
  sendCommand,
  explainCommand,
  spoolLsCommand,
  spoolShowCommand,
  spoolVerifyCommand,
  spoolExportCommand,
  spoolRequeueCommand,
  spoolPurgeCommand,
  bansLsCommand,
  bansAddCommand,
  bansRemoveCommand,
  printCommand(() => COMMANDS),
  helpCommand,
  versionCommand,
];
