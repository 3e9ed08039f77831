/** What runs in the page: an error with an attachment, sessions, a transaction, a log and a replay. */
import * as Sentry from "@sentry/browser";

const { dsn, tunnel } = globalThis.settings;
Sentry.init({
  dsn,
  ...(tunnel ? { tunnel } : {}),
  release: "shop@3.0.0",
  environment: "test",
  tracesSampleRate: 1,
  enableLogs: true,
  replaysSessionSampleRate: 1,
  integrations: [
    Sentry.replayIntegration({ minReplayDuration: 0, useCompression: true }),
  ],
});

globalThis.send = async () => {
  Sentry.withScope((scope) => {
    scope.addAttachment({ filename: "state.bin", data: new Uint8Array([0, 10, 13, 255]) });
    Sentry.captureException(new ReferenceError("jäger is not defined"));
  });
  Sentry.logger.info("cart is paid");
  document.querySelector("button").click();
  await Sentry.getReplay().flush();
  return await Sentry.flush(10_000);
};
document.querySelector("button").addEventListener("click", () => {
  document.body.append("paid");
});
