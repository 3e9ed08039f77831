/**
 * Where a half of a lane runs: in a worker of its own, or in this isolate (tests, and machines that want one thread).
 *
 * Either way the control plane sees the same thing: messages in, messages out, and one call when the half is gone
 * without having been asked to.
 */
import type { FromHalf, HalfKind, ToHalf } from "./messages.ts";

/** The control plane's end of a half. */
export interface HalfHost {
  post(message: ToHalf): void;
  /** Ends the half at once, whatever it is doing. */
  terminate(): void;
}

/** What the control plane wants to hear. */
export interface HalfListener {
  onMessage(message: FromHalf): void;
  /** The half died: an uncaught error, or its thread ended. */
  onDeath(reason: string): void;
}

/** Makes a half; it does nothing before it got its `start` message. */
export type HalfSpawner = (kind: HalfKind, listener: HalfListener) => HalfHost;

/** A half's own end. */
export interface HalfPort {
  post(message: FromHalf): void;
}

/** A half: takes messages one after the other until it is stopped. */
export interface HalfProgram {
  receive(message: ToHalf): void;
  /** Drops everything at once; for halves in this isolate, where there is no thread to end. */
  abandon(): void;
}

/** Runs halves in workers. The entry modules are named literally so that `deno compile --include` finds them. */
export const spawnWorkerHalf: HalfSpawner = (kind, listener) => {
  const entry = kind === "ingest"
    ? new URL("./ingest_worker.ts", import.meta.url)
    : new URL("./forward_worker.ts", import.meta.url);
  const worker = new Worker(entry, { type: "module", name: kind });
  worker.onmessage = ({ data }) => listener.onMessage(data);
  worker.onerror = (event) => {
    event.preventDefault();
    listener.onDeath(event.message);
  };
  worker.onmessageerror = () => listener.onDeath("a message could not be read");
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
  };
};

/** Runs halves in this isolate, made by `programs`. */
export function spawnInProcess(programs: Record<HalfKind, (port: HalfPort) => HalfProgram>): HalfSpawner {
  return (kind, listener) => {
    const program = programs[kind]({ post: (message) => queueMicrotask(() => listener.onMessage(message)) });
    return {
      post: (message) => queueMicrotask(() => program.receive(message)),
      terminate: () => program.abandon(),
    };
  };
}
