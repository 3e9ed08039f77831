import { z } from "zod";

/** What holds for all projects, as Sentry hands it to relays (control reference, section 5). Plain data. */
export interface GlobalConfig {
  /** Generic inbound filters, as received; null for none. */
  readonly filters: unknown;
  /** Options by name, as received. */
  readonly options: Readonly<Record<string, unknown>>;
}

const schema = z.looseObject({
  filters: z.unknown().optional(),
  options: z.record(z.string(), z.unknown()).nullish().catch(null),
});

/** What holds as long as nobody has said anything. */
export const DEFAULT_GLOBAL_CONFIG: GlobalConfig = { filters: null, options: {} };

/** The parts of a global configuration that a node uses; null when `raw` is none. */
export function readGlobalConfig(raw: unknown): GlobalConfig | null {
  const read = schema.safeParse(raw);
  return read.success ? { filters: read.data.filters ?? null, options: read.data.options ?? {} } : null;
}
