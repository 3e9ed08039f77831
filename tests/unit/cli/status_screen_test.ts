import { assert, assertEquals } from "@std/assert";
import type { NodeStatus } from "../../../src/admin/node_status.ts";
import { stateLine, statusScreen } from "../../../src/cli/status_screen.ts";

const STATUS: NodeStatus = {
  version: "1.2.3",
  mode: "proxy",
  upstream: "https://sentry.example.com/",
  endpoints: [],
  drain: null,
  lanes: 2,
  phase: "ready",
  problems: [],
  notes: [],
  registration: null,
  uptimeSeconds: 3_600,
  topProjects: [],
  errors: [],
  requests: 1000,
  requestsInFlight: 3,
  refused: 10,
  refusals: [],
  upstreamState: "up",
  accepted: 990,
  projects: { enabled: 0, disabled: 0, pending: 0 },
  spool: { waiting: 5, bytes: 1 << 20, bytesMax: 1 << 30 },
  forward: { delivered: 985, failed: 1, inFlight: 2, connections: 4, outage: 0, deadLetters: 1 },
  drops: [],
};

const STATES: readonly [Partial<NodeStatus>, string][] = [
  [{}, "ready"],
  [{ phase: "starting" }, "starting"],
  [{ phase: "draining", upstreamState: "down" }, "draining"],
  [{ phase: "unready", problems: ["spool", "memory"] }, "not ready: spool, memory"],
  [{ upstreamState: "down" }, "ready, upstream down"],
  [{ drain: { secondsLeft: 90 } as NodeStatus["drain"] }, "ready, catching up: gone in 1m"],
  [{ drain: { secondsLeft: null } as NodeStatus["drain"] }, "ready, catching up: it does not shrink"],
];

for (const [changed, line] of STATES) {
  Deno.test(`stateLine: ${line}`, () => assertEquals(stateLine({ ...STATUS, ...changed }), line));
}

Deno.test("statusScreen: totals, rates once there are two looks, sections only for what there is", () => {
  const first = statusScreen(STATUS, 80);
  assert(first.includes("Requests   1000, refused 10, in flight 3"), first.join("\n"));
  assert(!first.some((line) => /ENDPOINT|PROJECT|REASON|Note/.test(line)), first.join("\n"));
  const second = statusScreen(STATUS, 80, { requests: 12.34, refused: 0, delivered: 12 });
  assert(second.includes("Requests   1000  12.3/s, refused 10  0.0/s, in flight 3"), second.join("\n"));
  assert(second.includes("Forwarded  985  12.0/s, failed 1, dead 1"), second.join("\n"));
  assert(second.includes("Spool      5 waiting, 1.0 MiB of 1.0 GiB (0.1 %)"), second.join("\n"));
});

Deno.test("statusScreen: the busiest few of each, what never answered without a mean", () => {
  const endpoints = Array.from({ length: 6 }, (_, i) => ({
    endpoint: `10.0.0.${i}:443`,
    state: "up",
    answered: i === 0 ? 0 : 10,
    failed: 0,
    answerMs: 125,
  })) as unknown as NodeStatus["endpoints"];
  const topProjects = Array.from({ length: 9 }, (_, i) => ({ project: `${i}`, accepted: 9 - i, refused: 0 }));
  const drops = Array.from({ length: 9 }, (_, i) => ({
    outcome: "filtered",
    reason: `reason-${i}`,
    category: "error",
    quantity: 9 - i,
  }));
  const lines = statusScreen(
    {
      ...STATUS,
      endpoints,
      topProjects: topProjects as unknown as NodeStatus["topProjects"],
      drops,
      notes: ["ulimit"],
    },
    80,
  );
  assertEquals(lines.filter((line) => line.startsWith("10.0.0.")).length, 4);
  assert(/^10\.0\.0\.0:443 .* -$/m.test(lines.join("\n")));
  assert(lines.some((line) => line.startsWith("10.0.0.1:443") && line.endsWith("12.5 ms")));
  assertEquals(lines.filter((line) => /^\d +\d\.0 +0\.0$/.test(line)).length, 5);
  assertEquals(lines.filter((line) => line.includes("reason-")).length, 4);
  assert(lines.includes("Note       ulimit"));
});

Deno.test("statusScreen: no line is longer than the terminal is wide, none can move its cursor", () => {
  const lines = statusScreen(
    { ...STATUS, upstream: `https://\x1b[2J${"x".repeat(200)}/`, notes: ["a\nb"] },
    40,
  );
  assertEquals(lines.filter((line) => line.length > 40), []);
  // deno-lint-ignore no-control-regex
  assertEquals(lines.filter((line) => /[\x00-\x1f\x7f]/.test(line)), []);
});
