/** Peak memory of a node that takes many large envelopes at once and sends them on. */
// deno-lint-ignore-file no-console
import { LargeEnvelope, postLarge } from "../support/large_post.ts";
import { NodeProcess } from "../support/node_process.ts";
import { SinkUpstream } from "../support/sink_upstream.ts";

const MIB = 1024 * 1024;
const ROUNDS: readonly (readonly [uploads: number, mib: number])[] = [[1, 199], [25, 20], [100, 20], [
  200,
  20,
]];

/** Bytes the process has taken at most so far. */
async function peakMiB(pid: number): Promise<number> {
  const kB = /^VmHWM:\s+(\d+) kB$/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))![1];
  return Math.round(Number(kB) / 1024);
}

console.log(
  "one lane from source, http.encoding: identity, an upstream that answers at once, all on the loopback\n",
);
console.log("exposure        uploads   MiB each   idle MiB   peak MiB   seconds");
for (const exposure of ["load_balancer", "internet"]) {
  for (const [uploads, mib] of ROUNDS) {
    await using upstream = new SinkUpstream();
    const spool = { envelopes: { max_disk_size: "6GiB" } };
    const config = { listener: { exposure }, http: { encoding: "identity" }, spool };
    await using node = await NodeProcess.start({ upstream: upstream.url, config });
    const idle = await peakMiB(node.pid);
    const startMs = performance.now();
    const envelopes = Array.from({ length: uploads }, (_, n) => new LargeEnvelope(n + 1, mib * MIB));
    const statuses = await Promise.all(envelopes.map((envelope) => postLarge(node.port, envelope)));
    if (statuses.some((status) => status !== 200)) throw new Error(`answers: ${statuses}`);
    await upstream.count(uploads);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const row = [uploads, mib, idle, await peakMiB(node.pid), seconds];
    const widths = [8, 10, 10, 10, 9];
    console.log(exposure.padEnd(15) + row.map((cell, n) => String(cell).padStart(widths[n]!)).join(" "));
  }
}
