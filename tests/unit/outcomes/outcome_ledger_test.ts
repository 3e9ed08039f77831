/** Accounts and client reports: control reference, section 10. */
import { assert, assertEquals } from "@std/assert";
import { concatBytes, fromUtf8 } from "../../../src/core/bytes.ts";
import { clientReports } from "../../../src/outcomes/client_report.ts";
import { OutcomeLedger } from "../../../src/outcomes/outcome_ledger.ts";
import { parseEnvelope } from "../../../src/protocol/envelope.ts";
import { METRIC_LAYOUT, METRICS } from "../../../src/telemetry/catalogue.ts";
import { Metrics } from "../../../src/telemetry/registry.ts";

const SCOPE = { key: "a".repeat(32), projectId: "1" };
const ledger = (isReporting = true) => new OutcomeLedger(new Metrics(METRIC_LAYOUT), isReporting);

Deno.test("OutcomeLedger: adds up by project, outcome, reason and category, and starts over when taken", () => {
  const accounts = ledger();
  accounts.count(SCOPE, "filtered", "localhost", [["error", 1]]);
  accounts.count(SCOPE, "filtered", "localhost", [["error", 2], ["attachment", 9]]);
  accounts.count({ ...SCOPE, projectId: "2" }, "filtered", "localhost", [["error", 4]]);
  assertEquals(accounts.take().map(({ projectId, category, quantity }) => [projectId, category, quantity]), [
    ["1", "error", 3],
    ["1", "attachment", 9],
    ["2", "error", 4],
  ]);
  assertEquals(accounts.take(), []);
});

Deno.test("OutcomeLedger: counts everything, and keeps to itself what the upstream cannot use or knows", () => {
  const accounts = ledger();
  accounts.count(SCOPE, "invalid", "project_id", [["error", 1]]);
  accounts.count({ ...SCOPE, projectId: "" }, "filtered", "localhost", [["error", 1]]);
  accounts.count(SCOPE, "filtered", "localhost", []);
  accounts.countHere("rate_limited", "generic", [["error", 1]]);
  assertEquals(accounts.take(), []);
  assertEquals(accounts.metrics.read(METRICS.outcomes, "invalid", "project_id", "error"), 1);
  const silent = ledger(false);
  silent.count(SCOPE, "filtered", "Sampled:1000", [["error", 1]]);
  assertEquals(silent.take(), []);
  assertEquals(silent.metrics.read(METRICS.outcomes, "filtered", "sampled", "error"), 1);
});

Deno.test("OutcomeLedger: with 100,000 projects the memory is bounded and the rest is counted as unreported", () => {
  const accounts = ledger();
  for (let id = 1; id <= 100_000; id++) {
    accounts.count({ ...SCOPE, projectId: String(id) }, "filtered", "localhost", [["error", 1]]);
  }
  const told = accounts.take().length;
  assert(told < 100_000);
  assertEquals(accounts.metrics.read(METRICS.outcomesUnreported), 100_000 - told);
});

Deno.test("clientReports: an envelope per project, relays' lists for what relays decide, discarded for the rest", () => {
  const accounts = ledger();
  accounts.count(SCOPE, "filtered", "web-crawlers", [["error", 1]]);
  accounts.count(SCOPE, "filtered", "Sampled:1000", [["transaction_indexed", 2]]);
  accounts.count(SCOPE, "rate_limited", "spent", [["error", 3]]);
  accounts.count(SCOPE, "invalid", "timestamp", [["session", 4]]);
  const [report, ...others] = clientReports(accounts.take(), 1_700_000_000_999);
  assertEquals([others.length, report!.quantity, report!.projectId], [0, 10, "1"]);
  const { bytes, items } = parseEnvelope(concatBytes([...report!.body]));
  assertEquals(items.map(({ type }) => type.type), ["client_report"]);
  assertEquals(JSON.parse(fromUtf8(bytes.subarray(items[0]!.payloadStart, items[0]!.payloadEnd))), {
    timestamp: 1_700_000_000,
    filtered_events: [{ reason: "web-crawlers", category: "error", quantity: 1 }],
    filtered_sampling_events: [{ reason: "Sampled:1000", category: "transaction_indexed", quantity: 2 }],
    rate_limited_events: [{ reason: "spent", category: "error", quantity: 3 }],
    discarded_events: [{ reason: "timestamp", category: "session", quantity: 4 }],
  });
});
