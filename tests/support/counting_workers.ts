import type { CountingTask } from "./quota_worker.ts";

/** Gives each task to a worker of its own, all at once; resolves with their answers. */
export async function countInWorkers(tasks: readonly CountingTask[]): Promise<number[]> {
  return await Promise.all(tasks.map(async (task) => {
    const worker = new Worker(new URL("quota_worker.ts", import.meta.url), { type: "module" });
    const answer = Promise.withResolvers<number>();
    worker.onmessage = ({ data }) => answer.resolve(data);
    worker.onerror = ({ message }) => answer.reject(new Error(message));
    worker.postMessage(task);
    try {
      return await answer.promise;
    } finally {
      worker.terminate();
    }
  }));
}
