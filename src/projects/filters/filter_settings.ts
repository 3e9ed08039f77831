/** `config.filterSettings` of a project document, and `filters` of the global configuration. */
import { z } from "zod";

const flag = z.boolean().default(false);
const texts = z.array(z.string()).default([]);

/** Named conditions: `filterSettings.generic` of a project, `filters` of the global configuration. */
export const genericFiltersDocument = z.object({
  version: z.number().int().default(1),
  filters: z.array(z.object({
    id: z.string().min(1),
    isEnabled: flag,
    condition: z.record(z.string(), z.unknown()).nullish(),
  })).default([]),
});

/** Part of the project document; every filter may be left out (control reference, section 7). */
export const filterSettingsDocument = z.object({
  browserExtensions: z.object({ isEnabled: flag }).nullish(),
  clientIps: z.object({ blacklistedIps: texts }).nullish(),
  csp: z.object({ disallowedSources: texts }).nullish(),
  errorMessages: z.object({ patterns: texts }).nullish(),
  ignoreTransactions: z.object({ patterns: texts, isEnabled: flag }).nullish(),
  legacyBrowsers: z.object({ isEnabled: flag, options: texts }).nullish(),
  localhost: z.object({ isEnabled: flag }).nullish(),
  releases: z.object({ releases: texts }).nullish(),
  webCrawlers: z.object({ isEnabled: flag }).nullish(),
  generic: genericFiltersDocument.nullish(),
});

/** Filters of a project. Plain data. */
export type FilterSettings = z.output<typeof filterSettingsDocument>;

/** Named conditions. Plain data. */
export type GenericFilters = z.output<typeof genericFiltersDocument>;
