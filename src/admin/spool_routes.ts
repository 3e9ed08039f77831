/** What the operator does to the dead letters of a running node. */
import type { Hono } from "hono";
import { operatorOnly } from "./operator_only.ts";

/** What the node does to its dead letters. Errors are answered with 503 and their message. */
export interface DeadLetterActions {
  /** Makes all dead records wait again. */
  requeue(): Promise<{ readonly records: number; readonly bytes: number; readonly damaged: number }>;
  /** Deletes all dead records. */
  purge(): Promise<{ readonly bytes: number }>;
}

/** Adds `POST /spool/requeue` and `POST /spool/purge`; both answer with what they did, as JSON. */
export function addSpoolRoutes(app: Hono, actions: DeadLetterActions): void {
  app.use("/spool/*", operatorOnly);
  for (const action of ["requeue", "purge"] as const) {
    app.post(`/spool/${action}`, async (c) => {
      try {
        return c.json(await actions[action]());
      } catch (error) {
        return c.json({ error: error instanceof Error ? error.message : String(error) }, 503);
      }
    });
  }
}
