/**
 * The commands that change a spool. Whoever has the lock of its folder may: this process when the node is stopped;
 * otherwise the node itself, which is asked through its admin listener.
 */
import {
  NOTHING_REQUEUED,
  purgeStopped,
  type Requeued,
  requeueStopped,
  sumRequeued,
} from "../spool/requeue.ts";
import { inspectSpool, readSegment } from "../spool/spool_inspection.ts";
import { lockSpoolFolder, SpoolLockedError } from "../spool/spool_folder.ts";
import { postAdmin } from "./admin_request.ts";
import { type Command, EXIT, type System } from "./command.ts";
import { counted, readableSize } from "./readable.ts";
import { findSpool, type FoundSpool } from "./spool_access.ts";

/** `landfall spool requeue` */
export const spoolRequeueCommand: Command = {
  name: "spool requeue",
  about: "Have all dead letters sent again",
  details:
    "They wait behind everything else and are sent whatever their age: at once by a running node, at the next\n" +
    "start of a stopped one. What is rejected again comes back. An interruption may send some of them twice.",
  async run(invocation, system) {
    const spool = await findSpool(invocation, system);
    const { isStopped, result } = await withSpool<Requeued>(spool, system, {
      stopped: () => requeueAll(spool, system),
      running: async () => ({ ...NOTHING_REQUEUED, ...await postAdmin(spool.config, "/spool/requeue") }),
    });
    const { records, bytes, damaged } = result;
    if (damaged > 0) {
      system.err(`landfall: ${counted(damaged, "damaged place")} could not be read and is gone\n`);
    }
    if (records === 0) system.out("There are no dead letters\n");
    else {
      const when = isStopped ? "sent at the next start" : "being sent";
      system.out(`Requeued ${counted(records, "record")} (${readableSize(bytes)}), ${when}\n`);
    }
    return EXIT.ok;
  },
};

/** `landfall spool purge` */
export const spoolPurgeCommand: Command = {
  name: "spool purge",
  about: "Delete all dead letters",
  details: "Asks before it deletes; without a terminal it does nothing unless told --yes.",
  flags: {
    all: { about: "Delete what waits as well; only while the node is stopped" },
    yes: { short: "y", about: "Do not ask" },
  },
  async run(invocation, system) {
    const spool = await findSpool(invocation, system);
    const all = invocation.flags.has("all");
    const mayDelete = async (): Promise<boolean> => {
      const { records, bytes } = await contents(spool, system, all);
      if (bytes === 0) {
        system.out(all ? "The spool is empty\n" : "There are no dead letters\n");
        return false;
      }
      const what = `${counted(records, "record")} (${readableSize(bytes)})`;
      if (!invocation.flags.has("yes") && !confirmed(`Delete ${what}?`, system)) {
        system.out("Nothing was deleted\n");
        return false;
      }
      system.out(`Deleting ${what}\n`);
      return true;
    };
    await withSpool<void>(spool, system, {
      async stopped() {
        if (!await mayDelete()) return;
        const partitions = await inspectSpool(system.storage, spool.path);
        for (const { folder } of partitions) await purgeStopped(system.storage, folder, all);
      },
      async running() {
        if (all) throw new Error("what waits can only be deleted while the node is stopped");
        if (await mayDelete()) await postAdmin(spool.config, "/spool/purge");
      },
    });
    return EXIT.ok;
  },
};

async function withSpool<T>(
  { path, config }: FoundSpool,
  { storage }: System,
  work: { stopped(): Promise<T>; running(): Promise<T> },
): Promise<{ isStopped: boolean; result: T }> {
  let lock;
  try {
    lock = await lockSpoolFolder(storage, path);
  } catch (error) {
    if (!(error instanceof SpoolLockedError)) throw error;
    if (!config.admin.enabled) {
      throw new Error(`the spool is in use by ${error.holder}, whose admin listener is off; stop it first`);
    }
    return { isStopped: false, result: await work.running() };
  }
  try {
    return { isStopped: true, result: await work.stopped() };
  } finally {
    lock.release();
  }
}

async function requeueAll({ path, config }: FoundSpool, { storage, clock }: System): Promise<Requeued> {
  let total = NOTHING_REQUEUED;
  for (const { folder } of await inspectSpool(storage, path)) {
    const settings = { clock, segmentBytesMax: config.spool.segmentSize };
    total = sumRequeued(total, await requeueStopped(storage, folder, settings));
  }
  return total;
}

/** What is about to be deleted: whole records that are not settled, and the bytes of all segments. */
async function contents(
  { path }: FoundSpool,
  { storage, clock }: System,
  all: boolean,
): Promise<{ records: number; bytes: number }> {
  let [records, bytes] = [0, 0];
  const partitions = await inspectSpool(storage, path);
  for (const segment of partitions.flatMap(({ segments }) => segments)) {
    if (!all && !segment.isDead) continue;
    bytes += segment.bytes;
    for await (const found of readSegment(storage, segment, clock)) {
      if (found.kind === "record" && !found.isSettled) records++;
    }
  }
  return { records, bytes };
}

function confirmed(question: string, system: System): boolean {
  const answer = system.confirm(question);
  if (answer === null) {
    throw new Error(`${question} Nobody is there to ask; add --yes to delete without a question`);
  }
  return answer;
}
