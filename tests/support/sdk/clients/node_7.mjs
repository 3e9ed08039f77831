/** Version 7 of the Node SDK, still in wide use: the same kinds of items in the framing of its time. */
import * as Sentry from "sentry-node-7";

Sentry.init({
  dsn: process.env.SENTRY_DSN,
  release: "checkout@1.2.3",
  environment: "test",
  tracesSampleRate: 1,
  autoSessionTracking: false,
});

const hub = Sentry.getCurrentHub();
hub.startSession();
Sentry.withScope((scope) => {
  scope.addAttachment({ filename: "log.txt", data: "line one\nline two\n" });
  Sentry.captureException(new RangeError("node 7 exception"));
});
Sentry.startTransaction({ name: "GET /orders", op: "http.server" }).end();
const checkInId = Sentry.captureCheckIn({
  monitorSlug: "hourly",
  status: "in_progress",
});
Sentry.captureCheckIn({ monitorSlug: "hourly", status: "error", checkInId });
hub.endSession();
if (!await Sentry.flush(20_000)) process.exitCode = 2;
await Sentry.close(5_000);
