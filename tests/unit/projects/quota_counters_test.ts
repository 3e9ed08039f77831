/** Quotas that count: control reference, section 6; windows as Sentry aligns them. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { enforceQuotas } from "../../../src/projects/quotas/enforce_quotas.ts";
import type { CountedQuota } from "../../../src/projects/quotas/quota.ts";
import { QuotaCounters, type QuotaUsage } from "../../../src/projects/quotas/quota_counters.ts";
import { parseEnvelope } from "../../../src/protocol/envelope.ts";
import { countInWorkers } from "../../support/counting_workers.ts";

const IDS = { organization: "7", project: "42", key: "9" };
const quota = (more: Partial<CountedQuota> = {}): CountedQuota => ({
  id: "q",
  categories: ["error"],
  scope: "organization",
  reason: "too_much",
  limit: 3,
  windowSeconds: 60,
  ...more,
});

/** Whether each of the moments (seconds) admits one. */
function admitted(
  counters: QuotaCounters,
  seconds: readonly number[],
  more: Partial<CountedQuota> = {},
): boolean[] {
  const charges = [{ quota: quota(more), quantity: 1 }];
  return seconds.map((at) => counters.take(charges, IDS, at * 1000) === null);
}

/** Limit 3 in 60 s for organisation 7: windows start at second 7, 67, 127, ... */
const SEQUENCES: readonly (readonly [string, readonly number[], readonly boolean[]])[] = [
  ["up to the limit", [10, 11, 12, 13, 66], [true, true, true, false, false]],
  ["a new window at the shifted boundary", [10, 11, 12, 66, 67], [true, true, true, false, true]],
  ["one window behind counts in the newer one", [67, 66, 66, 66], [true, true, true, false]],
  ["a clock that falls back starts over", [10_000, 10_000, 10_000, 10, 10, 10, 10], [
    true,
    true,
    true,
    true,
    true,
    true,
    false,
  ]],
  ["a clock that leaps ahead and comes back", [10, 10, 10, 1e9, 10, 10, 10, 10], [
    true,
    true,
    true,
    true,
    true,
    true,
    true,
    false,
  ]],
];

for (const [what, seconds, expected] of SEQUENCES) {
  Deno.test(`quota counters: ${what}`, () => assertEquals(admitted(new QuotaCounters(), seconds), expected));
}

Deno.test("quota counters: a refusal names the limit and lasts until the window ends, never longer", () => {
  const counters = new QuotaCounters();
  admitted(counters, [10, 11, 12]);
  assertEquals(counters.take([{ quota: quota(), quantity: 1 }], IDS, 20_500), {
    categories: ["error"],
    scope: "organization",
    reason: "too_much",
    namespaces: [],
    expiresAtMs: 67_000,
  });
});

Deno.test("quota counters: scopes, ids and quotas have counters of their own", () => {
  const counters = new QuotaCounters();
  const one = (more: Partial<CountedQuota>, ids = IDS) =>
    counters.take([{ quota: quota({ limit: 1, ...more }), quantity: 1 }], ids, 0) === null;
  assertEquals([one({}), one({})], [true, false]);
  assertEquals(one({ id: "other" }), true);
  assertEquals(one({ scope: "project" }), true);
  assertEquals(one({ scope: "key" }), true);
  assertEquals(one({}, { ...IDS, organization: "8" }), true);
  assertEquals(one({}, { ...IDS, project: "43" }), false);
  assertEquals(one({ scope: "project" }, { ...IDS, project: "43" }), true);
});

Deno.test("quota counters: several quotas count together or not at all", () => {
  const counters = new QuotaCounters();
  const wide = quota({ id: "wide", limit: 10 });
  const narrow = quota({ id: "narrow", limit: 1 });
  const both = [wide, narrow].map((quota) => ({ quota, quantity: 1 }));
  const seen: QuotaUsage[] = [];
  counters.onUsage = (usage) => seen.push(usage);
  assertEquals(counters.take(both, IDS, 0), null);
  for (let i = 0; i < 20; i++) assert(counters.take(both, IDS, 0) !== null);
  assertEquals(counters.take([{ quota: wide, quantity: 9 }], IDS, 0), null);
  assertEquals(seen.map(({ name, quantity }) => [name.split(":")[0], quantity]), [
    ["wide", 1],
    ["narrow", 1],
    ["wide", 9],
  ]);
});

Deno.test("quota counters: what other nodes admitted counts, for its window alone", () => {
  const counters = new QuotaCounters();
  const seen: QuotaUsage[] = [];
  counters.onUsage = (usage) => seen.push(usage);
  admitted(counters, [10]);
  const { name, window, windowEndMs } = seen[0]!;
  assertEquals(windowEndMs, 67_000);
  counters.learn(name, window, 2, 11_000);
  assertEquals(admitted(counters, [12]), [false]);
  counters.learn(name, window - 1, 0, 12_000);
  assertEquals(admitted(counters, [13, 67]), [false, true]);
});

Deno.test("quota counters: bytes beyond 32 bits are counted exactly", () => {
  const counters = new QuotaCounters();
  const bytes = quota({ categories: ["attachment"], limit: 2 ** 33 });
  const take = (quantity: number) => counters.take([{ quota: bytes, quantity }], IDS, 0) === null;
  assertEquals([take(2 ** 32), take(2 ** 32 - 1), take(2), take(1), take(1)], [
    true,
    true,
    false,
    true,
    false,
  ]);
});

Deno.test("quota counters: no window admits more than its limit, for any order of quantities", () => {
  const step = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 20 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 30 }), (steps, limit) => {
      const counters = new QuotaCounters();
      const byWindow = new Map<number, number>();
      let second = 1000;
      for (const [quantity, pause] of steps) {
        second += pause;
        const window = Math.floor((second - 7) / 60);
        const before = byWindow.get(window) ?? 0;
        const isAdmitted =
          counters.take([{ quota: quota({ limit }), quantity }], IDS, second * 1000) === null;
        assertEquals(isAdmitted, before + quantity <= limit);
        if (isAdmitted) byWindow.set(window, before + quantity);
      }
    }),
  );
});

Deno.test("quota counters: workers together admit exactly the limit", async () => {
  const random = new Array<number>(10_000).fill(1);
  for (const limit of [20_000]) {
    const counters = new QuotaCounters();
    const task = { buffer: counters.buffer, quota: quota({ limit }), quantities: random, nowMs: 100_000 };
    const sums = await countInWorkers([task, task, task]);
    assertEquals(sums.reduce((a, b) => a + b), limit);
  }
});

const envelope = (...items: string[]) =>
  parseEnvelope(new TextEncoder().encode(`{}\n${items.join("\n")}`)).items;
const item = (type: string, more: object = {}, payload = "{}"): string =>
  `${JSON.stringify({ type, length: payload.length, ...more })}\n${payload}`;

/** Quotas, items, and which of them are left (types) after one envelope that came before used up limit 1. */
const REMOVALS: readonly (readonly [string, Partial<CountedQuota>, string[], string[], string[]])[] = [
  ["an event takes what requires it", {}, [
    item("event"),
    item("attachment"),
    item("user_report"),
    item("session"),
  ], [
    "session",
  ], ["error", "attachment", "attachment_item", "feedback"]],
  ["an attachment goes alone", { categories: ["attachment_item"] }, [item("event"), item("attachment")], [
    "event",
  ], [
    "attachment",
    "attachment_item",
  ]],
  ["sessions in aggregates stay", { categories: ["session"] }, [item("sessions")], ["sessions"], []],
  ["a session goes", { categories: ["session"] }, [item("session"), item("event")], ["event"], ["session"]],
  ["a crash report counts as an error", {}, [item("attachment", { attachment_type: "event.minidump" })], [], [
    "attachment",
    "attachment_item",
  ]],
  ["a log container", { categories: ["log_item"], limit: 2 }, [item("log", { item_count: 2 })], [], [
    "log_byte",
    "log_item",
  ]],
  ["other categories are not counted", { categories: ["replay"] }, [item("event")], ["event"], []],
];

for (const [what, more, items, left, dropped] of REMOVALS) {
  Deno.test(`enforceQuotas: ${what}`, () => {
    const counters = new QuotaCounters();
    const using = { quotas: [quota({ limit: 1, ...more })], ids: IDS, counters };
    const first = enforceQuotas(envelope(...items), using, 0);
    assertEquals(first.dropped, []);
    const second = enforceQuotas(envelope(...items), using, 0);
    assertEquals(second.kept.map(({ type }) => type.type), left);
    assertEquals(second.dropped.map(({ category }) => category), dropped);
    assertEquals(second.applied.length, dropped.length > 0 ? 1 : 0);
  });
}
