/** Node SDK with the native profiler: a profile for each transaction, and chunks of the continuous one. */
import * as Sentry from "@sentry/node";
import { nodeProfilingIntegration } from "@sentry/profiling-node";

Sentry.init({
  dsn: process.env.SENTRY_DSN,
  release: "checkout@1.2.3",
  environment: "test",
  tracesSampleRate: 1,
  traceLifecycle: "static",
  profileSessionSampleRate: 1,
  profileLifecycle: "manual",
  integrations: [nodeProfilingIntegration()],
});

Sentry.profiler.startProfiler();
Sentry.startSpan({ name: "GET /report", op: "http.server" }, () => {
  const end = performance.now() + 300;
  for (let i = 0; performance.now() < end; i++) Math.sqrt(i);
});
Sentry.profiler.stopProfiler();
if (!await Sentry.flush(20_000)) process.exitCode = 2;
await Sentry.close(5_000);
