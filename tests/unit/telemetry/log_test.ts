import { assert, assertEquals } from "@std/assert";
import { configureLogging, flushRepeats, forgetRepeats, logger } from "../../../src/telemetry/log.ts";
import type { LogEntry } from "../../../src/telemetry/log_entry.ts";
import { createLogRing, LogRingReader, logToRing } from "../../../src/telemetry/log_ring.ts";
import { BURST } from "../../../src/telemetry/repeat_filter.ts";

function collected(levels: Record<string, "off" | "debug">): string[] {
  const seen: string[] = [];
  forgetRepeats();
  configureLogging(
    { level: "warn", format: "json", levels },
    ({ room, message }) => seen.push(`${room} ${message}`),
  );
  for (const room of ["spool", "guard", "node"]) {
    logger(room).debug("debug");
    logger(room).warn("warn");
  }
  return seen;
}

Deno.test("configureLogging: a level per room", () => {
  assertEquals(collected({}), ["spool warn", "guard warn", "node warn"]);
  assertEquals(collected({ spool: "debug", guard: "off" }), ["spool debug", "spool warn", "node warn"]);
  configureLogging({ level: "off", format: "json" });
});

Deno.test("configureLogging: what a worker logs comes out of its ring as it was, once, with what repeated", () => {
  forgetRepeats();
  const buffer = createLogRing();
  configureLogging({ level: "info", format: "json", secrets: ["geheim!"] }, logToRing(buffer));
  for (let i = 0; i < BURST + 3; i++) logger("lane").warn("again", { lane: i });
  logger("spool").error("it failed: {error}", { error: new TypeError("no geheim! here\n") });
  flushRepeats(true);
  configureLogging({ level: "off", format: "json" });
  const seen: LogEntry[] = [];
  const reader = new LogRingReader(buffer);
  assertEquals(reader.read((entry) => seen.push(entry)), 0);
  assertEquals(seen.length, BURST + 2);
  const failed = seen.find(({ room }) => room === "spool")!;
  assertEquals([failed.level, failed.message], ["error", "it failed: TypeError: no [redacted] here\n"]);
  assert(failed.stack!.includes("log_test.ts") && !failed.stack!.includes("geheim!"));
  assertEquals(seen.at(-1)!.fields.repeated, 3);
  assertEquals(reader.read(() => assert(false)), 0);
});

Deno.test("LogRingReader: what did not fit is counted", () => {
  const buffer = createLogRing();
  const write = logToRing(buffer);
  const entry = {
    timeMs: 0,
    level: "info",
    room: "node",
    message: "x".repeat(4000),
    template: "",
    fields: {},
  } as const;
  for (let i = 0; i < 100; i++) write(entry);
  let count = 0;
  const lost = new LogRingReader(buffer).read(() => count++);
  assertEquals(count + lost, 100);
  assert(lost > 0);
});
