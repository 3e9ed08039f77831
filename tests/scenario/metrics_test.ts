/**
 * Every metric of the catalogue is moved by a node that runs: here, or in the scenario that the table below names.
 */
import { assert, assertEquals } from "@std/assert";
import { METRICS } from "../../src/telemetry/catalogue.ts";
import type { MetricsReader } from "../../src/telemetry/registry.ts";
import { lintExposition } from "../support/exposition.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { postEvent } from "../support/post_event.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

type Key = keyof typeof METRICS;

/** Moved by other scenarios: file, and a word in it that shows by what. */
const ELSEWHERE: Partial<Record<Key, readonly [file: string, word: string]>> = {
  logShippingBytes: ["log_shipping_test.ts", "logShippingBytes"],
  logShippingDropped: ["log_shipping_test.ts", "logShippingDropped"],
  logShipped: ["log_shipping_test.ts", "logShipped"],
  connectionsRefused: ["connections_test.ts", "connectionsRefused"],
  listenerRestarts: ["open_files_test.ts", "landfall_listener_restarts_total"],
  tlsReloads: ["tls_renewal_test.ts", "shownCertificate"],
  tlsExpiry: ["tls_test.ts", "tls"],
  outcomesReported: ["guard_offences_test.ts", "outcomesReported"],
  guardHeld: ["guard_test.ts", "guardHeld"],
  spoolUnhealthy: ["disk_trouble_test.ts", "runs full"],
  spoolRefused: ["node_test.ts", "spool_full"],
  spoolHeldProjects: ["managed_test.ts", "held"],
  spoolHeld: ["managed_test.ts", "held"],
  copies: ["upstreams_test.ts", "copy_to"],
  endpointRetries: ["upstreams_test.ts", "dead"],
  endpointEjections: ["upstreams_test.ts", "ejections"],
  endpointBreakers: ["upstreams_test.ts", "dead"],
  duplicatesPossible: ["crash_test.ts", "crash"],
  queries: ["managed_test.ts", "managed"],
  authenticated: ["managed_test.ts", "registered"],
  projectFetches: ["managed_test.ts", "projectFetches"],
  projectsCached: ["managed_test.ts", "managed"],
  relaysKnown: ["chain_test.ts", "relay"],
  globalConfigAge: ["managed_test.ts", "global"],
  projectFilesWrong: ["managed_test.ts", "projectFilesWrong"],
  quotaExchanges: ["shared_quotas_test.ts", "quotaExchanges"],
  quotaStoreUp: ["shared_quotas_test.ts", "quotaStoreUp"],
  statsdDatagrams: ["statsd_test.ts", "statsdDatagrams"],
  answersUnread: ["listener_reload_test.ts", "answersUnread"],
  requestsInFlight: ["listener_test.ts", "requestsInFlight"],
  selfReports: ["self_report_test.ts", "selfReports"],
  logLines: ["logs_test.ts", "log"],
  logLost: ["logs_test.ts", "log"],
  workerRestarts: ["node_test.ts", "workerRestarts"],
};

/** What takes full tables or lost memory is brought about by unit tests. */
const BY_UNIT_TESTS: Partial<Record<Key, readonly [file: string, word: string]>> = {
  outcomesUnreported: ["outcomes/outcome_ledger_test.ts", "outcomesUnreported"],
  guardZoneEvictions: ["guard/rate_zone_test.ts", "evictions"],
  projectsEvicted: ["projects/project_cache_test.ts", "expire"],
  accessLines: ["telemetry/access_writer_test.ts", "access"],
  spoolCorrupt: ["spool/partition_reader_test.ts", "damaged"],
  spoolTornBytes: ["spool/partition_reader_test.ts", "spoolTornBytes"],
  spoolUnreadable: ["spool/partition_reader_test.ts", "spoolUnreadable"],
  spoolShrunk: ["spool/segment_shrinker_test.ts", "spoolShrunk"],
  spoolShrunkBytes: ["spool/segment_shrinker_test.ts", "spoolShrunk"],
};

function note(reader: MetricsReader, moved: Set<Key>): void {
  for (const [key, spec] of Object.entries(METRICS)) {
    for (const { values } of reader.series(spec)) {
      if (values.some((value) => value !== 0)) moved.add(key as Key);
    }
  }
}

/** Most records that are made to wait until the node calls them a backlog, which it does from a thousand on. */
const BACKLOG_MAX = 6000;

async function post(node: NodeFixture, path: string, init: RequestInit = {}): Promise<number> {
  const answer = await fetch(`${node.url}${path}`, { method: "POST", ...init });
  await answer.body?.cancel();
  return answer.status;
}

Deno.test("every metric is moved by a scenario, and the exposition stays free of complaints meanwhile", async () => {
  const moved = new Set<Key>();
  await using upstream = ScriptedUpstream.start();
  await using node = await startNode({
    upstream: upstream.url,
    config: {
      "listener.exposure": "internet",
      "guard.deny.user_agents": ["*BadBot*"],
      "guard.zones": [{ name: "busy", key: "project_id", rate: "60r/m", burst: 30 }],
      "http.retry_delay": 0.1,
      "http.max_retry_interval": 0.2,
      "http.outage_grace_period": 0.3,
      "logging.level": "off",
    },
  });
  const { metrics } = node.node;
  const look = (): void => note(metrics, moved);
  const sees = (...keys: Key[]): Promise<void> =>
    until(`${keys} move`, () => (look(), keys.every((key) => moved.has(key))));

  const first = await postEvent(node.url);
  await upstream.until(() => upstream.accepted(first.eventId));
  await sees("requests", "connections", "answerTime", "forwarded", "forwardAge", "spoolWait", "spoolSettled");
  await sees("eventLoopDelay", "memoryBytes", "lanes", "halvesUp", "ready", "buildInfo", "startedAt");

  assertEquals(await post(node, "/api/1/envelope/", { headers: { "user-agent": "BadBot/1" } }), 403);
  node.node.guard.ban("203.0.113.9", 60_000, "test");
  upstream.script({ status: 400, body: "{}" });
  await postEvent(node.url);
  await sees("guardRefused", "guardBans", "deadLetters", "outcomes");
  for (let sent = 0, status = 200; status !== 429 && sent < 60; sent++) {
    status = (await postEvent(node.url, { projectId: 2 })).status;
  }
  await sees("guardZone", "guardZoneKeys");

  await upstream.down();
  const waiting = await postEvent(node.url);
  await sees("spoolWaiting", "upstreamFailing", "forwardRetries", "upstreamOutage", "spoolOldest");
  // Until the backlog is seen to grow.
  for (let sent = 0; sent < BACKLOG_MAX && !moved.has("drainRate"); sent += 25) {
    await Promise.all(
      Array.from({ length: 25 }, (_, i) => postEvent(node.url, { projectId: 100 + sent + i })),
    );
    look();
  }
  await sees("drainRate", "drainSecondsLeft");
  upstream.up();
  await upstream.until(() => upstream.accepted(waiting.eventId));
  upstream.behave({ delayMs: 300 });
  await postEvent(node.url);
  await sees("forwardInFlight", "endpointInFlight");
  upstream.behave({});

  const events = await fetch(`http://127.0.0.1:${node.node.adminPort}/events`);
  await sees("statusPages");
  await events.body?.cancel();
  await node.node.reload("request");
  await sees("configReloads");
  const text = await (await fetch(`http://127.0.0.1:${node.node.adminPort}/metrics`)).text();
  assertEquals(lintExposition(text), []);

  const unmoved = (Object.keys(METRICS) as Key[]).filter((key) => !moved.has(key));
  assertEquals(unmoved.filter((key) => !(key in ELSEWHERE) && !(key in BY_UNIT_TESTS)), []);
  for (const [folder, table] of [["", ELSEWHERE], ["../unit/", BY_UNIT_TESTS]] as const) {
    for (const [file, word] of Object.values(table)) {
      const source = await Deno.readTextFile(new URL(folder + file, import.meta.url));
      assert(source.includes(word), `${file} says nothing of ${word}`);
    }
  }
});
