/**
 * The admin listener's application: status page, status as JSON, metrics, and what operators do to dead letters and bans.
 *
 * Why apart from ingestion: it answers questions about the node to its operator, on loopback by default, and must keep
 * answering when ingestion is saturated. Everything under GET is safe and reads what the control plane already holds;
 * what changes something is a POST (spool_routes.ts, ban_routes.ts).
 */
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { EXPOSITION_TYPE, renderExposition } from "../telemetry/exposition.ts";
import type { Clock } from "../core/clock.ts";
import type { MetricsReader } from "../telemetry/registry.ts";
import { bearerOnly } from "./operator_only.ts";
import { addConfigRoutes, type ConfigActions } from "./config_routes.ts";
import type { Probe } from "./readiness.ts";
import { addBanRoutes, type BanActions } from "./ban_routes.ts";
import { addPolicyRoutes, type PolicyActions } from "./policy_routes.ts";
import { addSpoolRoutes, type DeadLetterActions } from "./spool_routes.ts";
import { SignIn } from "./sign_in.ts";
import type { StatusFeed } from "./status_feed.ts";
import { addTapRoutes, type TapActions } from "./tap_routes.ts";
import { STATUS_PAGE } from "./status_page.ts";
import type { NodeStatus } from "./node_status.ts";

/** What the admin application reads from the node. */
export interface AdminSource {
  readonly metrics: MetricsReader;
  status(): NodeStatus;
  readonly feed: Pick<StatusFeed, "open">;
  readonly taps: TapActions;
  readonly clock: Clock;
  readonly deadLetters: DeadLetterActions;
  readonly bans: BanActions;
  readonly config: ConfigActions;
  readonly policy: PolicyActions;
  /** Whether the node can take traffic. */
  probes(): readonly Probe[];
  /** `admin.token` as it is now. */
  token(): string | null;
}

/** The application, without a socket. */
export function adminApp(source: AdminSource): Hono {
  const { metrics, status, feed, deadLetters, bans, config, probes, token, clock } = source;
  const signIn = new SignIn(clock, token);
  const app = new Hono();
  app.use(secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      connectSrc: ["'self'"],
      imgSrc: ["data:"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
    },
  }));
  app.use(async (c, next) => {
    await next();
    c.header("cache-control", "no-store");
  });
  app.get("/health/live", (c) => c.json({ live: true }));
  app.get(
    "/status.css",
    (c) => c.body(STATUS_PAGE.style, 200, { "content-type": "text/css; charset=utf-8" }),
  );
  signIn.addRoutes(app);
  app.use(bearerOnly(token, (c) => signIn.isSignedIn(c)));
  app.get("/health", (c) => {
    const all = probes();
    const ready = all.every(({ ok }) => ok);
    return c.json({ ready, probes: all }, ready ? 200 : 503);
  });
  app.get("/", (c) => c.html(STATUS_PAGE.html));
  app.get(
    "/status.js",
    (c) => c.body(STATUS_PAGE.script, 200, { "content-type": "text/javascript; charset=utf-8" }),
  );
  app.on("HEAD", "/events", (c) => c.body(null));
  app.get("/events", (c) => {
    const events = feed.open();
    if (events === null) return c.json({ error: "too many pages watch" }, 503);
    return c.body(events, 200, { "content-type": "text/event-stream; charset=utf-8" });
  });
  app.get("/status.json", (c) => c.json(status()));
  app.get("/metrics", (c) => c.body(renderExposition(metrics), 200, { "content-type": EXPOSITION_TYPE }));
  addSpoolRoutes(app, deadLetters);
  addBanRoutes(app, bans);
  addConfigRoutes(app, config);
  addPolicyRoutes(app, source.policy);
  addTapRoutes(app, source.taps);
  return app;
}
