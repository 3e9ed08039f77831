/** Current Node SDK: an exception with attachments and a session, a transaction, two check-ins, logs, metrics, a large event. */
import * as Sentry from "@sentry/node";

Sentry.init({
  dsn: process.env.SENTRY_DSN,
  release: "checkout@1.2.3",
  environment: "test",
  tracesSampleRate: 1,
  traceLifecycle: "static",
  enableLogs: true,
});

Sentry.startSession();
Sentry.withScope((scope) => {
  scope.setUser({ id: "42", username: "jäger" });
  scope.addAttachment({
    filename: "näme with space.bin",
    data: new Uint8Array([0, 10, 13, 255]),
  });
  scope.addAttachment({ filename: "empty.txt", data: "" });
  Sentry.captureException(
    new TypeError("node 11 exception\nwith a second line"),
  );
});
Sentry.startSpan({ name: "GET /cart", op: "http.server" }, () => {
  Sentry.startSpan({ name: "select", op: "db" }, () => {});
});
const checkInId = Sentry.captureCheckIn({
  monitorSlug: "nightly",
  status: "in_progress",
});
Sentry.captureCheckIn({
  monitorSlug: "nightly",
  status: "ok",
  checkInId,
  duration: 1.5,
});
Sentry.logger.info("cart of %s is paid", ["jäger"], { amount: 12.5 });
Sentry.logger.error("payment service answers slowly");
Sentry.metrics.count("checkout.paid", 1);
Sentry.captureMessage("large ".repeat(20_000));
Sentry.endSession();
if (!await Sentry.flush(20_000)) process.exitCode = 2;
await Sentry.close(5_000);
