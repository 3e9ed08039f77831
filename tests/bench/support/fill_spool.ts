/**
 * Fills a spool folder with waiting records of projects that take turns, as a node would have left them:
 * `fill_spool.ts FOLDER RECORDS BYTES PROJECTS PARTITIONS`.
 */
import { systemClock } from "../../../src/core/clock.ts";
import { encodeRequestMeta } from "../../../src/protocol/request_meta.ts";
import { ControlBlock } from "../../../src/spool/control_block.ts";
import { DiskBudget } from "../../../src/spool/disk_budget.ts";
import { diskStorage } from "../../../src/spool/disk_storage.ts";
import { PartitionWriter } from "../../../src/spool/partition_writer.ts";
import { openSpoolFolder } from "../../../src/spool/spool_folder.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";

const [path = "", records = "0", bytes = "1200", projects = "1", partitions = "1"] = Deno.args;
const encoder = new TextEncoder();
const spool = await openSpoolFolder(diskStorage, path, Number(partitions));
const writers = await Promise.all(spool.partitions.map((folder) =>
  PartitionWriter.open({
    storage: diskStorage,
    folder,
    control: new ControlBlock(),
    budget: DiskBudget.create(2 ** 40),
    clock: systemClock,
    metrics: new Metrics(METRIC_LAYOUT),
    segmentBytesMax: 64 * 1024 * 1024,
  })
));
for (let written = 0; written < Number(records);) {
  const batch = Array.from({ length: Math.min(2000, Number(records) - written) }, (_, index) => {
    const project = (written + index) % Number(projects);
    const eventId = crypto.randomUUID().replaceAll("-", "");
    const envelope = `{"event_id":"${eventId}"}\n{"type":"event"}\n{"message":"${
      "x".repeat(Number(bytes) - 80)
    }"}`;
    return writers[index % writers.length]!.append({
      receivedAtMs: systemClock.now() - 60_000,
      projectHash: project,
      categoryBits: [2, 0],
      meta: encodeRequestMeta({
        projectId: "1",
        key: project.toString(16).padStart(32, "0"),
        version: 7,
        client: "sentry.javascript.node/11.12.0",
        origin: null,
        remoteAddr: "127.0.0.1",
        forwardedFor: "127.0.0.1",
        userAgent: "sentry.javascript.node/11.12.0",
        clientHints: null,
        noCache: false,
        contentEncoding: "",
        passthrough: null,
        eventId,
        quantities: [["error", 1]],
      }),
      body: [encoder.encode(envelope)],
    });
  });
  await Promise.all(batch);
  written += batch.length;
}
for (const writer of writers) await writer.close();
spool.release();
