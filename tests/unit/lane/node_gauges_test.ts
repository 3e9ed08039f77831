import { assertEquals } from "@std/assert";
import { setNodeGauges, spoolNotes } from "../../../src/lane/node_gauges.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";

Deno.test("setNodeGauges: what an operator's alerts go by", () => {
  const metrics = new Metrics(METRIC_LAYOUT);
  setNodeGauges(metrics, { bytesUsed: 5, bytesMax: 9 }, { ready: true, freeBytes: 7, waiting: 3 });
  const { ready, spoolBytes, spoolBytesMax, spoolFreeBytes, spoolWaiting } = METRICS;
  const found = [ready, spoolBytes, spoolBytesMax, spoolFreeBytes, spoolWaiting].map((spec) =>
    metrics.read(spec)
  );
  assertEquals(found, [1, 5, 9, 7, 3]);
});

Deno.test("spoolNotes: a disk that fails to read is named for as long as something of it waits", () => {
  const metrics = new Metrics(METRIC_LAYOUT);
  const notes = [0, 1, 12, 0].map((places) => {
    metrics.set(METRICS.spoolUnreadable, places);
    return spoolNotes(metrics);
  });
  assertEquals(notes, [
    [],
    ["the disk fails to read what waits in one place"],
    ["the disk fails to read what waits in 12 places"],
    [],
  ]);
});
