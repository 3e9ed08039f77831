/** What a command is, and what it may touch. */
import type { Clock } from "../core/clock.ts";
import type { ConfigSources } from "../config/config_sources.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import type { Storage } from "../spool/storage.ts";

/** Exit codes; those above 1 follow sysexits.h. */
export const EXIT = { ok: 0, failure: 1, usage: 64, config: 78 } as const;

/** A flag of a command. */
export interface Flag {
  /** One letter. */
  readonly short?: string;
  /** Placeholder of the flag's value, e.g. `DIR`; a flag without one is a switch. */
  readonly value?: string;
  readonly about: string;
}

/** Runs a node until it has stopped; resolves with the exit code. */
export type RunNode = (loaded: LoadedConfig, options?: { readonly onReady?: () => void }) => Promise<number>;

/** The terminal a command runs in. */
export interface Terminal {
  /** 80 by 24 where there is none. */
  size(): { readonly columns: number; readonly rows: number };
  /** Aborts when the user or the system asks the command to end. */
  interrupted(): AbortSignal;
}

/** The process as commands see it. */
export interface System {
  readonly sources: ConfigSources;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly terminal: Terminal;
  /** Writes to standard output; bytes as they are. */
  out(text: string | Uint8Array): void;
  /** Writes to standard error. */
  err(text: string): void;
  /**
   * Writes a file that must not exist yet, readable by its owner only, and the folders above it.
   *
   * @throws {Deno.errors.AlreadyExists}
   */
  writeNew(path: string, content: string | Uint8Array): void;
  /** Replaces a file or makes it, as one step, readable by its owner only, and the folders above it. */
  writeSecret(path: string, content: string): void;
  /** @throws {Deno.errors.NotFound} */
  remove(path: string): void;
  /**
   * The same with content that comes in pieces; the file is removed again when those fail.
   *
   * @throws {Deno.errors.AlreadyExists} and what reading `content` throws
   */
  writeNewFrom(path: string, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** Asks whoever sits at the terminal; null when nobody does. */
  confirm(question: string): boolean | null;
  /** Asks for a line of text; null when nobody can be asked. */
  ask(question: string): string | null;
  /** Runs a node until it has stopped; calls `onReady` once it takes traffic; resolves with the exit code. */
  runNode(loaded: LoadedConfig, onReady?: () => void): Promise<number>;
}

/** A command line that was understood. */
export interface Invocation {
  /** Folder given with `-c`. */
  readonly configDir: string | undefined;
  /** Flags given, without dashes; a switch holds an empty text. */
  readonly flags: ReadonlyMap<string, string>;
  readonly operands: readonly string[];
}

/** A command. */
export interface Command {
  /** One word, or two for a command of a group: `config check`. */
  readonly name: string;
  readonly about: string;
  /** Further lines of the command's help. */
  readonly details?: string;
  readonly flags?: Readonly<Record<string, Flag>>;
  /** Placeholder of what may follow the flags, e.g. `[COMMAND]`; without it nothing may. */
  readonly operands?: string;
  /**
   * @returns the exit code
   * @throws {ConfigError} ends with 78
   * @throws {UsageError} ends with 64
   */
  run(invocation: Invocation, system: System): number | Promise<number>;
}

/** A command line that cannot be understood. The message is one sentence without a full stop. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
