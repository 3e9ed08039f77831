/**
 * All inbound filters of a project, compiled once, in Relay's order; the first that matches says why.
 *
 * Source: control reference, section 7. Whoever evaluates them reads only what {@link InboundFilters.reads} names.
 */
import { browserExtensions } from "./browser_extensions.ts";
import type { FilteredKind, FilterSubject, InboundFilter } from "./filter.ts";
import type { FilterSettings, GenericFilters } from "./filter_settings.ts";
import { genericFilters } from "./generic_filters.ts";
import { legacyBrowsers } from "./legacy_browsers.ts";
import { localhost } from "./localhost.ts";
import { clientIps, csp, errorMessages, ignoreTransactions, releases } from "./text_filters.ts";
import { webCrawlers } from "./web_crawlers.ts";

/** Filters of one project. */
export class InboundFilters {
  readonly #filters: readonly InboundFilter[];
  readonly #read: ReadonlySet<FilteredKind>;

  constructor(settings: FilterSettings | null, global: GenericFilters | null) {
    this.#filters = [
      ...genericFilters(settings?.generic ?? null, global),
      ...settings ? settingsFilters(settings) : [],
    ];
    this.#read = new Set(this.#filters.flatMap(({ isReading, kinds }) => isReading ? [...kinds] : []));
  }

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#filters.length === 0;
  }

  /** Whether a filter has to read what is of a kind. */
  reads(kind: FilteredKind): boolean {
    return this.#read.has(kind);
  }

  /** Reason of the first filter that matches, or `null`. */
  match(subject: FilterSubject): string | null {
    for (const filter of this.#filters) {
      if (filter.kinds.has(subject.kind) && filter.matches(subject)) return filter.reason;
    }
    return null;
  }
}

function settingsFilters(settings: FilterSettings): InboundFilter[] {
  const filters: (InboundFilter | false)[] = [
    listed(settings.csp?.disallowedSources, csp),
    listed(settings.clientIps?.blacklistedIps, clientIps),
    listed(settings.releases?.releases, releases),
    listed(settings.errorMessages?.patterns, errorMessages),
    settings.localhost?.isEnabled === true && localhost,
    settings.browserExtensions?.isEnabled === true && browserExtensions,
    settings.legacyBrowsers?.isEnabled === true && listed(settings.legacyBrowsers.options, legacyBrowsers),
    settings.webCrawlers?.isEnabled === true && webCrawlers,
    settings.ignoreTransactions?.isEnabled === true &&
    listed(settings.ignoreTransactions.patterns, ignoreTransactions),
  ];
  return filters.filter((filter) => filter !== false);
}

/** A filter without entries matches nothing. */
function listed(
  entries: readonly string[] | undefined,
  filter: (entries: readonly string[]) => InboundFilter,
): InboundFilter | false {
  return entries !== undefined && entries.length > 0 && filter(entries);
}
