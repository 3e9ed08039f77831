/** The browser SDK's client and fetch transport without a browser: auth in the query, `text/plain` bodies. */
import {
  BrowserClient,
  captureException,
  captureMessage,
  captureSession,
  createUserFeedbackEnvelope,
  defaultStackParser,
  endSession,
  getCurrentScope,
  makeFetchTransport,
  setCurrentClient,
  startSession,
  startSpan,
  withScope,
} from "@sentry/browser";

const dsn = process.env.SENTRY_DSN;
const client = new BrowserClient({
  dsn,
  release: "shop@3.0.0",
  environment: "test",
  tracesSampleRate: 1,
  integrations: [],
  stackParser: defaultStackParser,
  transport: (options) => makeFetchTransport(options, fetch),
});
setCurrentClient(client);
client.init();
getCurrentScope().setUser({ id: "7" });

startSession();
captureSession();
withScope((scope) => {
  scope.addAttachment({
    filename: "state.json",
    data: '{"cart":[1,2]}',
    contentType: "application/json",
  });
  captureException(new ReferenceError("browser exception"));
});
const eventId = captureMessage("browser message");
startSpan({ name: "/checkout", op: "pageload" }, () => {});
await client.getTransport().send(
  createUserFeedbackEnvelope({
    event_id: eventId,
    name: "A",
    email: "a@example.com",
    comments: "it broke",
  }, {
    dsn: client.getDsn(),
  }),
);
endSession();
if (!await client.flush(20_000)) process.exitCode = 2;
