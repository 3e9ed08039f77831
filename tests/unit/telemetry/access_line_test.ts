import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { AccessLineBuilder, type AccessRecord, formatAccess } from "../../../src/telemetry/access_line.ts";

const RECORD: AccessRecord = {
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 67),
  method: "POST",
  route: "envelope",
  path: "/api/1/envelope/",
  status: 429,
  reason: "hourly",
  bytes: 1200,
  elapsedMs: 1.23456,
  client: "192.0.2.7",
  projectId: "1",
  key: "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3",
  organizationId: "7",
  categories: "error,attachment",
  agent: 'sdk "x"/1',
  lane: 1,
  eventId: "9ec79c33ec9942ab8353589fcb2e04dc",
};

const LINE = '{"time":"2026-01-02T03:04:05.067Z","log":"access","method":"POST","route":"envelope","path":' +
  '"/api/1/envelope/","status":429,"reason":"hourly","bytes":1200,"ms":1.235,"client":"192.0.2.7","project":"1",' +
  '"key":"a0b1c2d3","organization":"7","categories":"error,attachment","agent":"sdk \\"x\\"/1","lane":1,' +
  '"event":"9ec79c33ec9942ab8353589fcb2e04dc"}';

Deno.test("access line: a request in each form", () => {
  assertEquals(new AccessLineBuilder().build(RECORD), `${LINE}\n`);
  assertEquals(formatAccess(LINE, "json"), `${LINE}\n`);
  assertEquals(
    formatAccess(LINE, "logfmt"),
    "time=2026-01-02T03:04:05.067Z log=access method=POST route=envelope path=/api/1/envelope/ status=429 " +
      "reason=hourly bytes=1200 ms=1.235 client=192.0.2.7 project=1 key=a0b1c2d3 organization=7 " +
      'categories=error,attachment agent="sdk \\"x\\"/1" lane=1 event=9ec79c33ec9942ab8353589fcb2e04dc\n',
  );
  assertEquals(
    formatAccess(LINE, "combined"),
    '192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] "POST /api/1/envelope/" 429 1200 "-" "sdk \\"x\\"/1" hourly 1.235 1\n',
  );
});

Deno.test("access line: whatever a client sends is one bounded line of JSON, in every second", () => {
  const builder = new AccessLineBuilder();
  const text = fc.string({ unit: "binary", maxLength: 5000 });
  const time = fc.integer({ min: 0, max: 4e12 });
  fc.assert(fc.property(text, text, text, text, time, (path, agent, reason, projectId, timeMs) => {
    const line = builder.build({ ...RECORD, path, agent, reason, projectId, timeMs });
    assert(line.endsWith("}\n") && line.indexOf("\n") === line.length - 1);
    assert(line.length < 5000);
    const values = JSON.parse(line);
    assertEquals(values.time, new Date(timeMs).toISOString());
    assertEquals(values.agent, agent.length > 160 ? `${agent.slice(0, 160)}…` : agent);
    for (const format of ["logfmt", "combined"] as const) {
      assertEquals(formatAccess(line.trimEnd(), format).split("\n").length, 2);
    }
  }));
});

Deno.test("access line: keys are shortened, in paths too; what is not known is left out", () => {
  const path = `/api/1/unreal/${RECORD.key}/`;
  const nothing = { reason: null, projectId: "", key: "", organizationId: null, categories: "", agent: null };
  const line = new AccessLineBuilder().build({ ...RECORD, ...nothing, path, eventId: null });
  const names = ["time", "log", "method", "route", "path", "status", "bytes", "ms", "client", "lane"];
  assertEquals(Object.keys(JSON.parse(line)), names);
  assertEquals(JSON.parse(line).path, "/api/1/unreal/a0b1c2d3…/");
});
