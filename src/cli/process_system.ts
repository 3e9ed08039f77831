import { utf8 } from "../core/bytes.ts";
import { systemClock } from "../core/clock.ts";
import { logOptions } from "../config/config_secrets.ts";
import { processSources } from "../config/config_sources.ts";
import { configureLogging, logger } from "../telemetry/log.ts";
import { diskStorage } from "../spool/disk_storage.ts";
import type { System } from "./command.ts";
import { Hangups } from "./hangups.ts";

/** Readable and writable by the owner only, as Relay saves its files. */
const FILE_MODE = 0o600;

/** The process itself. */
export function processSystem(): System {
  return {
    sources: processSources(),
    clock: systemClock,
    storage: diskStorage,
    terminal: { size: terminalSize, interrupted },
    out: (text) => writeAll(Deno.stdout, text),
    err: (text) => writeAll(Deno.stderr, text),
    writeNew(path, content) {
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      const bytes = typeof content === "string" ? utf8(content) : content;
      Deno.writeFileSync(path, bytes, { createNew: true, mode: FILE_MODE });
    },
    writeSecret(path, content) {
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      const part = `${path}.${crypto.randomUUID()}`;
      Deno.writeFileSync(part, utf8(content), { createNew: true, mode: FILE_MODE });
      Deno.renameSync(part, path);
    },
    remove: (path) => Deno.removeSync(path),
    ask: (question) => Deno.stdin.isTerminal() ? globalThis.prompt(`${question}:`) : null,
    async writeNewFrom(path, content) {
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      const file = Deno.openSync(path, { write: true, createNew: true, mode: FILE_MODE });
      try {
        for await (const piece of content) {
          for (let rest = piece; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
        }
      } catch (error) {
        Deno.removeSync(path);
        throw error;
      } finally {
        file.close();
      }
    },
    confirm: (question) => Deno.stdin.isTerminal() ? globalThis.confirm(question) : null,
    async runNode(loaded, onReady) {
      const hangups = new Hangups();
      configureLogging(logOptions(loaded));
      for (const warning of loaded.warnings) logger("config").warn(warning);
      // Loaded only now, so that the other commands start without the node's modules.
      try {
        const { runNode } = await import("./run_node.ts");
        return await runNode(loaded, { hangups, ...onReady && { onReady } });
      } finally {
        hangups.close();
      }
    },
  };
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string | Uint8Array): void {
  let bytes = typeof text === "string" ? utf8(text) : text;
  try {
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  } catch (error) {
    // The reader of a pipe may have seen enough.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

function terminalSize(): { columns: number; rows: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 80, rows: 24 };
  }
}

function interrupted(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  return stop.signal;
}
