import { z } from "zod";

/** What an upstream says about the keys it was asked for (control reference, section 4, "Response"). */
export interface ProjectAnswer {
  /** Documents as received; `null`: the upstream knows no such project. */
  readonly configs: Readonly<Record<string, unknown>>;
  readonly pending: ReadonlySet<string>;
  readonly unchanged: ReadonlySet<string>;
  readonly global: unknown;
  /** Whether `global` is what is to be used. */
  readonly isGlobalReady: boolean;
}

const schema = z.object({
  configs: z.record(z.string(), z.unknown()).nullish(),
  pending: z.array(z.string()).nullish(),
  unchanged: z.array(z.string()).nullish(),
  global: z.unknown().optional(),
  globalStatus: z.string().nullish(),
});

/** The answer in `value`; `null` when it has not the form of one. All its parts are optional. */
export function readProjectAnswer(value: unknown): ProjectAnswer | null {
  const read = schema.safeParse(value);
  if (!read.success) return null;
  const { configs, pending, unchanged, global, globalStatus } = read.data;
  return {
    configs: configs ?? {},
    pending: new Set(pending),
    unchanged: new Set(unchanged),
    global: global ?? null,
    isGlobalReady: global !== undefined && global !== null && (globalStatus ?? "ready") === "ready",
  };
}
