/**
 * Small things the control plane remembers over a restart, each a JSON file in the folder of the spool.
 *
 * Replaced as a whole, so a crash leaves the old or the new one. What cannot be read counts as nothing: what is kept here
 * is dear, but a node has to start without it.
 */
import { logger } from "../telemetry/log.ts";

const log = logger("node");

/** One such file. */
export class KeptFile {
  readonly #path: string;
  #hasFailed = false;

  /** @param folder of the spool */
  constructor(folder: string, readonly name: string) {
    this.#path = `${folder}/${name}`;
  }

  /** What was written last; `null` when nothing was, or nothing that can be read. */
  read(): unknown {
    try {
      return JSON.parse(Deno.readTextFileSync(this.#path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        log.warn("{name} cannot be read and is ignored: {error}", { name: this.name, error });
      }
      return null;
    }
  }

  /** Replaces the content; `null` removes the file. A disk that refuses is reported once. */
  write(value: unknown): void {
    try {
      if (value === null) return Deno.removeSync(this.#path);
      const draft = `${this.#path}.new`;
      Deno.writeTextFileSync(draft, JSON.stringify(value), { mode: 0o600 });
      Deno.renameSync(draft, this.#path);
      this.#hasFailed = false;
    } catch (error) {
      if (value === null && error instanceof Deno.errors.NotFound) return;
      if (!this.#hasFailed) log.error("{name} cannot be written: {error}", { name: this.name, error });
      this.#hasFailed = true;
    }
  }
}
