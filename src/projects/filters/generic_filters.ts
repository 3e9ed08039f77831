/**
 * Generic filters: conditions with a name, of a project and of all projects together.
 *
 * If either list has a version this program does not know, none of them runs: a filter that is half understood drops
 * what it should not. Source: control reference, section 7 ("Generic").
 */
import { compileCondition } from "../condition.ts";
import type { GenericFilters } from "./filter_settings.ts";
import { EVENTS, type FilteredKind, type InboundFilter } from "./filter.ts";

const VERSION_MAX = 1;

/** Filters of the project in their order, then those of the global configuration with other names. */
export function genericFilters(
  project: GenericFilters | null,
  global: GenericFilters | null,
): readonly InboundFilter[] {
  if ([project, global].some((list) => list && list.version > VERSION_MAX)) return [];
  const ofAll = new Map(global?.filters.map((filter) => [filter.id, filter]));
  const merged = new Map<string, GenericFilters["filters"][number]>();
  for (const filter of project?.filters ?? []) {
    merged.set(filter.id, { ...filter, condition: filter.condition ?? ofAll.get(filter.id)?.condition });
  }
  for (const [id, filter] of ofAll) if (!merged.has(id)) merged.set(id, filter);
  return [...merged.values()].flatMap(({ id, isEnabled, condition }) => {
    const matches = isEnabled ? compileCondition(condition) : null;
    return matches ? [{ reason: id, isReading: true, kinds: kindsOf(condition), matches }] : [];
  });
}

/** Events in any case; spans and logs only if the condition names a field of theirs, as they have to be read for it. */
function kindsOf(condition: unknown): ReadonlySet<FilteredKind> {
  const text = JSON.stringify(condition);
  const named = (["span", "log"] as const).filter((kind) => text.includes(`"${kind}.`));
  return named.length === 0 ? EVENTS : new Set(["event", ...named]);
}
