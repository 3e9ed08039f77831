import { EnvelopeScanner } from "../protocol/envelope.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import { RequestError } from "../protocol/request_error.ts";
import { largePath } from "../spool/large_body.ts";
import { LargeBodyLost } from "../spool/large_reader.ts";
import { StorageError } from "../spool/storage.ts";
import { bodyOf, findRecord, type InspectedRecord } from "../spool/spool_inspection.ts";
import { type Command, EXIT, UsageError } from "./command.ts";
import { alignedRows, printable, readableAge, readableSize } from "./readable.ts";
import { decodedBody, findSpool, metaOf } from "./spool_access.ts";

/** `landfall spool show` */
export const spoolShowCommand: Command = {
  name: "spool show",
  about: "Show one record",
  details: "ID is what `spool ls --dead` and `spool ls --waiting` print: partition, segment and offset.",
  flags: { body: { about: "Print the body alone, as it was received (it may be compressed)" } },
  operands: "ID",
  async run(invocation, system) {
    const { flags, operands } = invocation;
    const [id] = operands;
    if (id === undefined || operands.length > 1) throw new UsageError("spool show takes one ID");
    const { path } = await findSpool(invocation, system);
    const record = await findRecord(system.storage, path, id);
    if (!record) throw new Error(`there is no whole record at ${id}`);
    if (flags.has("body")) {
      for await (const piece of bodyOf(system.storage, record)) system.out(piece);
      return EXIT.ok;
    }
    const meta = metaOf(record);
    system.out(recordText(record, meta, system.clock.now()));
    if (meta && !meta.passthrough) {
      system.out(await envelopeText(decodedBody(system.storage, record, meta)));
    }
    return EXIT.ok;
  },
};

function recordText(record: InspectedRecord, meta: RequestMeta | null, nowMs: number): string {
  const { id, receivedAtMs, body, large, bytes } = record;
  const state = record.isDead ? `dead: ${record.reason}` : record.isSettled ? "settled" : "waiting";
  const age = readableAge(nowMs - receivedAtMs);
  const rows = [
    ["id", id],
    ["state", state],
    ["received", `${new Date(receivedAtMs).toISOString()} (${age} ago)`],
    ["on disk", `${readableSize(bytes)}, of which body ${readableSize(large?.bytes ?? body.length)}`],
    ...large ? [["body in", largePath(large.folder, large.name)]] : [],
  ];
  if (!meta) rows.push(["meta", "cannot be read"]);
  for (const [name, value] of Object.entries(meta ?? {})) {
    if (value === null || value === "" || value === false) continue;
    rows.push([name, typeof value === "string" ? value : JSON.stringify(value)]);
  }
  return alignedRows(rows.map((row) => row.map(printable)));
}

async function envelopeText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const scanner = new EnvelopeScanner();
  try {
    for await (const piece of body) scanner.push(piece);
    const { headers, items } = scanner.finish();
    const lines = items.map((item) =>
      `${printable(JSON.stringify(item.headers))}  ${readableSize(item.payloadEnd - item.payloadStart)}\n`
    );
    return `\n${printable(JSON.stringify(headers))}\n${lines.join("")}`;
  } catch (error) {
    if (error instanceof RequestError) return `\nThe body is no envelope: ${error.message}\n`;
    if (error instanceof LargeBodyLost || error instanceof StorageError) return `\n${error.message}\n`;
    return "\nThe body cannot be decoded.\n";
  }
}
