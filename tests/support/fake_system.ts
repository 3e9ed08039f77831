import { concatBytes, fromUtf8 } from "../../src/core/bytes.ts";
import type { System } from "../../src/cli/command.ts";
import { runCli } from "../../src/cli/run_cli.ts";
import type { LoadedConfig } from "../../src/config/load_config.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Storage } from "../../src/spool/storage.ts";
import { fakeSources } from "./fake_sources.ts";
import { SimStorage } from "./sim_storage.ts";

/** What a command line did. */
export interface CliRun {
  readonly code: number;
  readonly out: string;
  /** Bytes that were printed as they are, one after the other. */
  readonly outBytes: readonly Uint8Array[];
  readonly err: string;
  /** Configuration of the node that was started. */
  readonly started: LoadedConfig | null;
  /** Files written: path to text. */
  readonly written: Readonly<Record<string, string>>;
  /** Questions asked. */
  readonly questions: readonly string[];
  /** Files deleted. */
  readonly removed: readonly string[];
}

/** Runs a command line in a process that is made up. */
export async function runFakeCli(
  args: readonly string[],
  o: Parameters<typeof fakeSources>[0] & Partial<Pick<System, "clock" | "runNode">> & {
    readonly storage?: Storage;
    /** Answer to every question; absent when there is no terminal. */
    readonly answer?: boolean;
    /** Answers to questions for text, in order. */
    readonly lines?: readonly string[];
  } = {},
): Promise<CliRun> {
  let out = "";
  let err = "";
  let started: LoadedConfig | null = null;
  const written: Record<string, string> = {};
  const outBytes: Uint8Array[] = [];
  const questions: string[] = [];
  const removed: string[] = [];
  const lines = [...o.lines ?? []];
  const system: System = {
    sources: fakeSources(o),
    clock: o.clock ?? systemClock,
    storage: o.storage ?? new SimStorage({}),
    terminal: { size: () => ({ columns: 80, rows: 24 }), interrupted: () => new AbortController().signal },
    out: (text) => typeof text === "string" ? void (out += text) : void outBytes.push(text),
    err: (text) => void (err += text),
    writeNew(path, content) {
      if (o.files?.[path] !== undefined) throw new Deno.errors.AlreadyExists(path);
      written[path] = typeof content === "string" ? content : new TextDecoder().decode(content);
    },
    writeSecret: (path, content) => void (written[path] = content),
    remove(path) {
      if (o.files?.[path] === undefined) throw new Deno.errors.NotFound(path);
      removed.push(path);
    },
    ask(question) {
      questions.push(question);
      return lines.shift() ?? null;
    },
    async writeNewFrom(path, content) {
      if (o.files?.[path] !== undefined) throw new Deno.errors.AlreadyExists(path);
      const pieces: Uint8Array[] = [];
      for await (const piece of content) pieces.push(piece.slice());
      written[path] = fromUtf8(concatBytes(pieces));
    },
    confirm(question) {
      questions.push(question);
      return o.answer ?? null;
    },
    runNode: (loaded) => {
      started = loaded;
      return o.runNode?.(loaded) ?? Promise.resolve(0);
    },
  };
  const code = await runCli(args, system);
  return { code, out, outBytes, err, started, written, questions, removed };
}
