/** Peak memory of a node that takes many large bodies at once and sends them on. */
// deno-lint-ignore-file no-console
import * as zlib from "node:zlib";
import { encodeZstd } from "../../src/protocol/zstd.ts";
import { EncodedPost, LargeEnvelope, type LargePost, LargeReport, postLarge } from "../support/large_post.ts";
import { NodeProcess } from "../support/node_process.ts";
import { SinkUpstream } from "../support/sink_upstream.ts";

const MIB = 1024 * 1024;

/** Bodies of one kind, by their number and MiB; those in an encoding are all the same. */
type Kind = (mib: number) => (n: number) => LargePost;

const envelope: Kind = (mib) => (n) => new LargeEnvelope(n, mib * MIB);
const minidump: Kind = (mib) => (n) => new LargeReport(n, mib * MIB);
const encoded = (encoding: string, encode: (bytes: Uint8Array) => Uint8Array): Kind => (mib) => {
  const post = new EncodedPost(new LargeEnvelope(1, mib * MIB), encoding, encode);
  return () => post;
};
const br = encoded(
  "br",
  (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } }),
);
const zstd = encoded("zstd", encodeZstd);

const ROUNDS: readonly (readonly [name: string, kind: Kind, uploads: number, mib: number])[] = [
  ["envelope", envelope, 1, 199],
  ["envelope", envelope, 25, 20],
  ["envelope", envelope, 100, 20],
  ["envelope", envelope, 200, 20],
  ["minidump by form", minidump, 1, 199],
  ["minidump by form", minidump, 100, 20],
  ["envelope in br", br, 20, 20],
  ["envelope in zstd", zstd, 20, 20],
];

/** Bytes the process has taken at most so far. */
async function peakMiB(pid: number): Promise<number> {
  const kB = /^VmHWM:\s+(\d+) kB$/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))![1];
  return Math.round(Number(kB) / 1024);
}

console.log(
  "one lane from source, http.encoding: identity, an upstream that answers at once, all on the loopback\n",
);
console.log("exposure        body               uploads   MiB each   idle MiB   peak MiB   seconds");
for (const exposure of ["load_balancer", "internet"]) {
  for (const [name, kind, uploads, mib] of ROUNDS) {
    await using upstream = new SinkUpstream();
    const spool = { envelopes: { max_disk_size: "6GiB" } };
    const config = { listener: { exposure }, http: { encoding: "identity" }, spool };
    await using node = await NodeProcess.start({ upstream: upstream.url, config });
    const body = kind(mib);
    const idle = await peakMiB(node.pid);
    const startMs = performance.now();
    const posts = Array.from({ length: uploads }, (_, n) => body(n + 1));
    const statuses = await Promise.all(posts.map((post) => postLarge(node.port, post)));
    if (statuses.some((status) => status !== 200)) throw new Error(`answers: ${statuses}`);
    await upstream.count(uploads);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const row = [uploads, mib, idle, await peakMiB(node.pid), seconds];
    const widths = [8, 10, 10, 10, 9];
    const cells = row.map((cell, n) => String(cell).padStart(widths[n]!)).join(" ");
    console.log(exposure.padEnd(15) + name.padEnd(17) + cells);
  }
}
