import { assertEquals } from "@std/assert";
import { fetchedState } from "../../../src/projects/fetched_state.ts";
import { ProjectTable } from "../../../src/projects/project_table.ts";

const [A, B] = ["a".repeat(32), "b".repeat(32)] as const;
const state = (projectId: number) => fetchedState(A, { projectId, config: {} });

function projectIdOf(table: ProjectTable, key: string): string | null {
  const lookup = table.lookup(key);
  return lookup.kind === "known" ? lookup.state.projectId : lookup.kind;
}

Deno.test("ProjectTable: changes add, replace and remove", () => {
  const table = new ProjectTable({ unknown: "wait", overrideProjectIds: false, states: [[A, state(1)]] });
  table.apply({ states: [[A, state(2)], [B, state(3)]], removed: [], stale: [] });
  assertEquals([projectIdOf(table, A), projectIdOf(table, B)], ["2", "3"]);
  table.apply({ states: [], removed: [A], stale: [] });
  assertEquals([projectIdOf(table, A), table.size], ["pending", 1]);
});

Deno.test("ProjectTable: the first use of a stale state is told, once each time it becomes stale", () => {
  const table = new ProjectTable({
    unknown: "wait",
    overrideProjectIds: false,
    states: [[A, state(1)], [B, state(2)]],
    stale: [A],
  });
  const told: string[] = [];
  table.onStale = (key) => told.push(key);
  for (let n = 0; n < 3; n++) assertEquals([projectIdOf(table, A), projectIdOf(table, B)], ["1", "2"]);
  assertEquals(told, [A]);
  table.apply({ states: [], removed: [], stale: [B] });
  table.lookup(B);
  table.lookup(B);
  assertEquals(told, [A, B]);
  table.apply({ states: [], removed: [], stale: [A] });
  table.apply({ states: [[A, state(9)]], removed: [], stale: [] });
  assertEquals([projectIdOf(table, A), told], ["9", [A, B]]);
});
