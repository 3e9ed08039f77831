import { findRecord, type InspectedRecord } from "../spool/spool_inspection.ts";
import { type Command, EXIT, type System, UsageError } from "./command.ts";
import { counted } from "./readable.ts";
import { decodedBody, findSpool, type FoundSpool, metaOf, recordsOf } from "./spool_access.ts";

/** `landfall spool export` */
export const spoolExportCommand: Command = {
  name: "spool export",
  about: "Write records as envelope files",
  details:
    "Writes the records with the IDs given, or the dead letters, or all that wait, each into a file of its own,\n" +
    "not compressed, and named after the record and its event. A body that is no envelope gets the ending .body.\n" +
    "A file that exists is left alone. Exits with 1 unless all were written.",
  flags: {
    dead: { about: "The dead letters instead of what waits" },
    to: { value: "DIR", about: "Folder to write to (default: the current one)" },
  },
  operands: "[ID...]",
  async run(invocation, system) {
    const { flags, operands } = invocation;
    if (flags.has("dead") && operands.length > 0) throw new UsageError("--dead and IDs exclude each other");
    const folder = flags.get("to") ?? ".";
    const spool = await findSpool(invocation, system);
    let [written, failed] = [0, 0];
    for await (const record of chosen(spool, system, operands, flags.has("dead"))) {
      const problem = await write(record, folder, system);
      if (problem === null) written++;
      else {
        failed++;
        system.err(`landfall: ${problem}\n`);
      }
    }
    system.out(`Wrote ${counted(written, "file")} to ${folder}\n`);
    return failed === 0 ? EXIT.ok : EXIT.failure;
  },
};

async function* chosen(
  spool: FoundSpool,
  system: System,
  ids: readonly string[],
  isDead: boolean,
): AsyncGenerator<InspectedRecord> {
  if (ids.length === 0) return yield* recordsOf(spool, system, isDead);
  for (const id of ids) {
    const record = await findRecord(system.storage, spool.path, id);
    if (!record) throw new Error(`there is no whole record at ${id}`);
    yield record;
  }
}

/** @returns why it was not written, or null */
async function write(
  record: InspectedRecord,
  folder: string,
  system: System,
): Promise<string | null> {
  const meta = metaOf(record);
  if (!meta) return `${record.id} does not say what it is`;
  const name = [record.id.replaceAll("/", "-"), ...meta.eventId === null ? [] : [meta.eventId]].join(".");
  const path = `${folder}/${name}.${meta.passthrough ? "body" : "envelope"}`;
  try {
    await system.writeNewFrom(path, decodedBody(system.storage, record, meta));
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return `${path} exists already and was left alone`;
    return `${record.id} cannot be decoded: ${error instanceof Error ? error.message : error}`;
  }
}
