/** A child process under measurement: its address, its CPU time, its end. */
import { TextLineStream } from "./text_lines.ts";

/** What a round sends load to. */
export interface Contender {
  readonly name: string;
  readonly port: number;
  readonly path: string;
  /** Whether what it acknowledges has to arrive at the upstream before the round ends. */
  readonly forwards: boolean;
  /** CPU seconds used so far, by all processes of the contender. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

/** CPU seconds of a process from the kernel's accounting (10 ms steps). */
export function cpuSeconds(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Resident memory of a process in MiB. */
export function residentMiB(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`));
  return Number(match?.[1] ?? 0) / 1024;
}

/** A child with line-wise conversation over its standard streams. */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  constructor(command: string, args: readonly string[]) {
    this.#process = new Deno.Command(command, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = this.#process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      .getReader();
    this.#input = this.#process.stdin.getWriter();
  }

  get pid(): number {
    return this.#process.pid;
  }

  async line(): Promise<string> {
    const { value } = await this.#lines.read();
    return value ?? "";
  }

  async ask(question: string): Promise<string> {
    await this.#input.write(new TextEncoder().encode(`${question}\n`));
    return await this.line();
  }

  /** Resolves when the child has ended by itself; rejects when it failed. */
  async ended(): Promise<void> {
    await this.#input.close();
    await this.#lines.cancel();
    const { success } = await this.#process.status;
    if (!success) throw new Error("A child of the bench failed");
  }

  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    try {
      this.#process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
    await this.#input.close().catch(() => {});
    await this.#lines.cancel();
    await this.#process.status;
  }
}
