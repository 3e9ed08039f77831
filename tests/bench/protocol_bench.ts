/**
 * What parsing an envelope costs, by size and encoding: decode and parse as the listener does, beside `JSON.parse` of the
 * same bytes (what a server pays that reads the event) and `gunzip` of the same bytes alone.
 *
 * One event per envelope, its stack trace grown to the size. All contenders take turns within each round; medians are
 * printed. Single-threaded, so the time is the CPU's, except for encodings that are undone by a stream.
 *
 * Usage: deno task bench:protocol [--rounds 15] [--millis 20]
 */
import * as zlib from "node:zlib";
import { BodyBudget } from "../../src/listener/body_budget.ts";
import { type CompressedEncoding, decodeBody } from "../../src/listener/decode_body.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { benchFlags } from "./support/bench_flags.ts";

const values = benchFlags({ rounds: "15", millis: "20" });
const ROUNDS = Number(values.rounds);
const SAMPLE_MS = Number(values.millis);
const SIZES = [300, 1200, 20_000, 200_000];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** An envelope of exactly so many bytes. */
function envelopeOf(bytes: number): Uint8Array {
  const id = "9ec79c33ec9942ab8353589fcb2e04dc";
  const frames: object[] = [];
  const render = (message: string): string => {
    const event = { event_id: id, level: "error", platform: "node", message, exception: { values: frames } };
    const header = { event_id: id, sent_at: "2024-05-01T12:00:00.000Z" };
    return `${JSON.stringify(header)}\n{"type":"event"}\n${JSON.stringify(event)}\n`;
  };
  for (let text = render(""); text.length < bytes; text = render("")) frames.push(frame(frames.length));
  frames.pop();
  return encoder.encode(render("x".repeat(bytes - render("").length)));
}

function frame(line: number): object {
  return {
    filename: `/srv/checkout/lib/module_${line}.js`,
    function: `step${line * 31}`,
    lineno: line * 7,
    colno: line % 80,
    in_app: line % 3 === 0,
    context_line: `  const total = items.reduce((sum, item) => sum + item.price * ${line}, 0);`,
  };
}

const ENCODERS: Readonly<Record<CompressedEncoding, ((bytes: Uint8Array) => Uint8Array) | undefined>> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } }),
  zstd: "zstdCompressSync" in zlib
    ? (bytes) =>
      (zlib as unknown as { zstdCompressSync(bytes: Uint8Array): Uint8Array }).zstdCompressSync(bytes)
    : undefined,
};

interface Contender {
  readonly name: string;
  readonly run: () => unknown;
}

/** What the results are folded into, so that no contender's work can be left out. */
let kept = 0;

function contendersOf(bytes: Uint8Array): Contender[] {
  const budget = new BodyBudget(bytes.length * 4);
  const parse = (decoded: Uint8Array): void => {
    kept += parseEnvelope(decoded).items.length;
  };
  const contenders: Contender[] = [{ name: "identity", run: () => parse(bytes) }];
  for (const encoding of ["gzip", "zstd", "br"] as const) {
    const encode = ENCODERS[encoding];
    if (!encode) continue;
    const sent = new Uint8Array(encode(bytes));
    const finish = (decoded: Uint8Array): void => {
      budget.release(decoded.length);
      parse(decoded);
    };
    const run = (): unknown => {
      const decoded = decodeBody(sent, encoding, bytes.length, budget);
      return decoded instanceof Promise ? decoded.then(finish) : finish(decoded);
    };
    contenders.push({ name: encoding, run });
  }
  const text = bytes.subarray(bytes.indexOf(10) + 1);
  const event = text.subarray(text.indexOf(10) + 1);
  const packed = new Uint8Array(zlib.gzipSync(bytes));
  contenders.push(
    {
      name: "JSON.parse",
      run: () => kept += Object.keys(JSON.parse(decoder.decode(event)) as object).length,
    },
    { name: "gunzip alone", run: () => kept += zlib.gunzipSync(packed).length },
  );
  return contenders;
}

/** Runs so many times and returns microseconds per run. */
async function sample({ run }: Contender, runs: number): Promise<number> {
  const start = performance.now();
  for (let left = runs; left > 0; left--) {
    const pending = run();
    if (pending instanceof Promise) await pending;
  }
  return (performance.now() - start) * 1000 / runs;
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;

/** Medians of all contenders of one size, by name. */
async function measure(bytes: Uint8Array): Promise<Map<string, number>> {
  const entries = contendersOf(bytes);
  const runs: number[] = [];
  for (const contender of entries) {
    await sample(contender, 300);
    runs.push(Math.max(5, Math.round(SAMPLE_MS * 1000 / await sample(contender, 20))));
  }
  const samples = entries.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, contender] of entries.entries()) {
      samples[index]!.push(await sample(contender, runs[index]!));
    }
  }
  return new Map(entries.map(({ name }, index) => [name, median(samples[index]!)]));
}

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
const columns = ["identity", "gzip", "zstd", "br", "JSON.parse", "gunzip alone"];
const rows: string[] = [];
for (const size of SIZES) {
  const bytes = envelopeOf(size);
  const medians = await measure(bytes);
  const cells = columns.map((name) => {
    const micros = medians.get(name);
    return micros === undefined ? "-" : micros.toFixed(micros < 10 ? 2 : 0);
  });
  rows.push(line([`${(bytes.length / 1000).toFixed(1)} KB`, ...cells]));
}
const output = [
  `µs per envelope, decode and parse; ${ROUNDS} interleaved rounds of ${SAMPLE_MS} ms, medians; Deno ` +
  `${Deno.version.deno}, ${navigator.hardwareConcurrency} cores`,
  "",
  line(["envelope", ...columns]),
  line(["---", ...columns.map(() => "---")]),
  ...rows,
];
if (kept === 0) throw new Error("Nothing was parsed");
// deno-lint-ignore no-console
console.log(output.join("\n"));
