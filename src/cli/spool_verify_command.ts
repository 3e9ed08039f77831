import { findRecord, type InspectedSegment, readSegment } from "../spool/spool_inspection.ts";
import { largeBodyFault } from "../spool/large_reader.ts";
import { StorageError } from "../spool/storage.ts";
import { type Command, EXIT, type System } from "./command.ts";
import { counted } from "./readable.ts";
import { findSpool } from "./spool_access.ts";

/** `landfall spool verify` */
export const spoolVerifyCommand: Command = {
  name: "spool verify",
  about: "Check every checksum in the spool",
  details:
    "Reads all of it, on a stopped or a running node, and changes nothing. Exits with 1 when something is damaged.\n" +
    "A segment that is cut off at its end is what a power loss leaves; nothing acknowledged is missing there.",
  async run(invocation, system) {
    const { path, partitions } = await findSpool(invocation, system);
    // A running node may have sent a record, and removed its large body, since this began.
    const isOver = async (id: string): Promise<boolean> =>
      (await findRecord(system.storage, path, id))?.isSettled ?? true;
    let [segments, records, faults] = [0, 0, 0];
    for (const partition of partitions) {
      if (partition.checkpoint === "damaged") {
        faults++;
        system.out(`${partition.name}: the checkpoint is damaged, everything would be sent again\n`);
      }
      for (const segment of partition.segments) {
        const found = await verify(segment, system, isOver);
        segments++;
        records += found.records;
        faults += found.faults;
      }
    }
    const verdict = faults === 0 ? "all whole" : counted(faults, "fault");
    system.out(`${counted(segments, "segment")}, ${counted(records, "record")}: ${verdict}\n`);
    return faults === 0 ? EXIT.ok : EXIT.failure;
  },
};

async function verify(
  segment: InspectedSegment,
  { storage, clock, out }: System,
  isOver: (id: string) => Promise<boolean>,
): Promise<{ records: number; faults: number }> {
  let [records, faults] = [0, 0];
  try {
    for await (const found of readSegment(storage, segment, clock)) {
      if (found.kind === "record") {
        records++;
        const fault = found.large && await largeBodyFault(storage, found.large.folder, found.large);
        if (fault === null || found.isSettled || await isOver(found.id)) continue;
        faults++;
        out(`${found.id}: ${fault}\n`);
        continue;
      }
      faults++;
      const { from, to, isCut } = found;
      const what = isCut ? "cut off or damaged up to the end" : "damaged";
      out(`${segment.id}: bytes ${from} to ${to} are ${what}\n`);
    }
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    faults++;
    out(`${segment.id}: cannot be read: ${error.message}\n`);
  }
  return { records, faults };
}
