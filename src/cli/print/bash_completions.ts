import type { Command } from "../command.ts";
import { COMMON_FLAGS } from "../command_line.ts";

/**
 * Completions for bash, made from the command table: commands, the second words of groups, and flags of the command that
 * stands on the line. File names elsewhere.
 */
export function bashCompletions(commands: readonly Command[]): string {
  const groups = new Map<string, string[]>();
  for (const [group, member] of commands.map(({ name }) => name.split(" "))) {
    const members = groups.get(group!) ?? [];
    groups.set(group!, member === undefined ? members : [...members, member]);
  }
  const grouped = [...groups].filter(([, members]) => members.length > 0);
  return `# bash completion for landfall
_landfall() {
  local word=\${COMP_WORDS[COMP_CWORD]} line=" " command= each
  for each in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do line+="$each "; done
  [[ $line =~ \\ (-c|--config)\\ [^\\ ]+\\  ]] && line=\${line/"\${BASH_REMATCH[0]}"/ }
  case $line in
${commands.map(({ name }) => `    " ${name} "*) command="${name}";;`).join("\n")}
  esac
  case \${COMP_WORDS[COMP_CWORD-1]} in
    -c|--config) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return;;
  esac
  if [[ $word == -* ]]; then
    case $command in
${commands.map((command) => `      "${command.name}") _landfall_words "${flagsOf(command)}";;`).join("\n")}
      *) _landfall_words "${flagsOf({})}";;
    esac
    return
  fi
  [[ $command ]] && { mapfile -t COMPREPLY < <(compgen -f -- "$word"); return; }
  case $line in
    " ") _landfall_words "${[...groups.keys()].join(" ")}";;
${grouped.map(([group, members]) => `    " ${group} ") _landfall_words "${members.join(" ")}";;`).join("\n")}
  esac
}
_landfall_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word")
}
complete -o filenames -F _landfall landfall
`;
}

function flagsOf({ flags }: Pick<Command, "flags">): string {
  return Object.keys({ ...flags, ...COMMON_FLAGS }).map((name) => `--${name}`).join(" ");
}
