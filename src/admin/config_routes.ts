/** The configuration of a running node: what is in force, what its files say, and the way from one to the other. */
import type { Hono } from "hono";
import { type KeyChange, shown } from "../config/config_change.ts";
import { describeOrigin, describeProblem, type Problem } from "../config/config_error.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import { operatorOnly } from "./operator_only.ts";

/** How a reload ended, or would end. */
export type ReloadOutcome =
  | {
    readonly result: "applied" | "unchanged";
    readonly changed: readonly KeyChange[];
    readonly restart: readonly KeyChange[];
  }
  | { readonly result: "invalid"; readonly problems: readonly Problem[] };

/** What the node does about its configuration. */
export interface ConfigActions {
  /** What is in force. */
  current(): LoadedConfig;
  /** What a reload would do now; changes nothing. */
  preview(): ReloadOutcome;
  reload(): Promise<ReloadOutcome>;
}

/**
 * Adds `GET /config` (every key with value and origin, secrets left out), `GET /config/diff` (what a reload would do) and
 * `POST /config/reload`. The latter two answer with `{result, changed, restart}`, lists of `{key, from, to, origin}`, or
 * with 422 and `{error, problems}` when the files are wrong.
 */
export function addConfigRoutes(app: Hono, actions: ConfigActions): void {
  app.get("/config", (c) => c.json({ values: valuesOf(actions.current()) }));
  app.get("/config/diff", (c) => {
    const { status, body } = answerOf(actions.preview());
    return c.json(body, status);
  });
  app.post("/config/reload", operatorOnly, async (c) => {
    const { status, body } = answerOf(await actions.reload());
    return c.json(body, status);
  });
}

function valuesOf({ effective }: LoadedConfig): Record<string, unknown> {
  return Object.fromEntries(
    effective.filter(({ key }) => key.effect !== "none").map((entry) => [
      entry.key.key,
      { value: shown(entry), origin: describeOrigin(entry.origin), change: entry.key.effect },
    ]),
  );
}

function answerOf(outcome: ReloadOutcome): { readonly status: 200 | 422; readonly body: object } {
  if (outcome.result === "invalid") {
    const lines = outcome.problems.map(describeProblem);
    return { status: 422, body: { error: lines.join("\n"), problems: outcome.problems } };
  }
  const { result, changed, restart } = outcome;
  return { status: 200, body: { result, changed: changed.map(told), restart: restart.map(told) } };
}

function told({ key, from, to, origin }: KeyChange): object {
  return { key, from, to, origin: describeOrigin(origin) };
}
