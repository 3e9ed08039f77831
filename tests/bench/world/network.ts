/**
 * All lines of the world in a process of their own, so that nobody's work delays packets. Reads one command per line, JSON:
 * `["open", roundTripMs, port]` answers with the number of the line and its port, `["lead", line, roundTripMs, port]` and
 * `["cut", line]` change it, `["connections", line]` says how many it has had. Answers with JSON.
 */
import { TextLineStream } from "../support/text_lines.ts";
import { DelayedLink } from "./delayed_link.ts";

const links: DelayedLink[] = [];

function obey([verb, ...numbers]: [string, ...number[]]): unknown {
  const [first = 0, second = 0, third = 0] = numbers;
  switch (verb) {
    case "open":
      links.push(new DelayedLink({ roundTripMs: first, port: second }));
      return [links.length - 1, links.at(-1)!.port];
    case "lead":
      return links[first]!.lead({ roundTripMs: second, port: third }) ?? null;
    case "cut":
      return links[first]!.cut() ?? null;
    case "connections":
      return links[first]!.connections;
    default:
      throw new Error(`Command ${verb}`);
  }
}

const commands = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const line of commands) {
  // deno-lint-ignore no-console
  console.log(JSON.stringify(obey(JSON.parse(line))));
}
Deno.exit(0);
