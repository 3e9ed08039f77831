/** What the node knows that decides about one project. */
import type { Hono } from "hono";
import type { PolicyFacts } from "../projects/policy_facts.ts";
import { isProjectKey } from "../protocol/project_key.ts";

/** What the node says of its projects. */
export interface PolicyActions {
  /** @param rootKey key of the project in which a trace began; null for none */
  facts(key: string, rootKey: string | null): PolicyFacts;
}

/** Adds `GET /policy?key=KEY[&root=KEY]`: the node's knowledge of one project as JSON, without secrets. */
export function addPolicyRoutes(app: Hono, actions: PolicyActions): void {
  app.get("/policy", (c) => {
    const key = c.req.query("key") ?? "";
    const root = c.req.query("root") ?? null;
    if (!isProjectKey(key) || root !== null && !isProjectKey(root)) {
      return c.json({ error: "key and root must be public keys: 32 visible characters" }, 400);
    }
    return c.json(actions.facts(key, root));
  });
}
