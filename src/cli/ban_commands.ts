/** The commands of the group `bans`: what the ban list of a running node holds, and changes to it. */
import { parseDurationMs } from "../core/duration.ts";
import { loadConfig } from "../config/load_config.ts";
import type { Config } from "../config/config.ts";
import { getAdmin, postAdmin } from "./admin_request.ts";
import { type Command, EXIT, type Invocation, type System, UsageError } from "./command.ts";
import { printable, readableAge } from "./readable.ts";

/** How long an operator bans who says nothing else. */
const BAN_DEFAULT = "1h";

/** `landfall bans ls` */
export const bansLsCommand: Command = {
  name: "bans ls",
  about: "Show who is banned, for how long and why",
  flags: { json: { about: "Print JSON" } },
  async run(invocation, system) {
    const answer = await getAdmin(configOf(invocation, system), "/bans") as {
      readonly bans: readonly {
        readonly address: string;
        readonly untilMs: number;
        readonly reason: string;
      }[];
    };
    if (invocation.flags.has("json")) {
      system.out(`${JSON.stringify(answer)}\n`);
      return EXIT.ok;
    }
    if (answer.bans.length === 0) system.out("Nobody is banned\n");
    for (const { address, untilMs, reason } of answer.bans) {
      system.out(`${address}  ${readableAge(untilMs - system.clock.now())}  ${printable(reason)}\n`);
    }
    return EXIT.ok;
  },
};

/** `landfall bans add` */
export const bansAddCommand: Command = {
  name: "bans add",
  about: "Ban an address, for IPv6 its network of 64 bits",
  details: "The ban holds at once, in all lanes, and over restarts. A trusted proxy cannot be banned.",
  operands: "ADDRESS",
  flags: {
    for: { value: "DURATION", about: `How long, e.g. 10m or 2d (default ${BAN_DEFAULT})` },
    reason: { value: "TEXT", about: "Why, for whoever reads the list" },
  },
  async run(invocation, system) {
    const address = addressOf(invocation);
    const lasting = invocation.flags.get("for") ?? BAN_DEFAULT;
    const reason = invocation.flags.get("reason");
    const body = { address, ms: durationMs(lasting), ...reason === undefined ? {} : { reason } };
    await postAdmin(configOf(invocation, system), "/bans", body);
    system.out(`${address} is banned for ${lasting}\n`);
    return EXIT.ok;
  },
};

/** `landfall bans remove` */
export const bansRemoveCommand: Command = {
  name: "bans remove",
  about: "End the ban of an address",
  operands: "ADDRESS",
  async run(invocation, system) {
    const address = addressOf(invocation);
    await postAdmin(configOf(invocation, system), "/bans/remove", { address });
    system.out(`${address} is no longer banned\n`);
    return EXIT.ok;
  },
};

function configOf({ configDir }: Invocation, { sources }: System): Config {
  return loadConfig({ dir: configDir, sources }).config;
}

function addressOf({ operands }: Invocation): string {
  const [address] = operands;
  if (address === undefined || operands.length > 1) throw new UsageError("name one address");
  return address;
}

function durationMs(text: string): number {
  try {
    return parseDurationMs(text);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`not a duration: ${JSON.stringify(text)}`);
    throw error;
  }
}
