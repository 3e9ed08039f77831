/** OpenTelemetry exporters: traces as JSON and as compressed protobuf, and logs as JSON, compressed. */
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPTraceExporter as JsonTraces } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoTraces } from "@opentelemetry/exporter-trace-otlp-proto";

const dsn = new URL(process.env.SENTRY_DSN);
const base = `${dsn.origin}/api${dsn.pathname}/integration/otlp/v1`;
const headers = { "x-sentry-auth": `sentry sentry_key=${dsn.username}` };
const resource = { attributes: { "service.name": "checkout" } };
const scope = { name: "scenario", version: "1.0.0" };
const now = [Math.floor(Date.now() / 1000), 0];

const span = {
  name: "GET /cart",
  kind: 1,
  spanContext: () => ({
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    traceFlags: 1,
  }),
  startTime: now,
  endTime: now,
  status: { code: 1 },
  attributes: { "http.route": "/cart" },
  links: [],
  events: [],
  duration: [0, 0],
  ended: true,
  resource,
  instrumentationScope: scope,
  droppedAttributesCount: 0,
  droppedEventsCount: 0,
  droppedLinksCount: 0,
};
const log = {
  hrTime: now,
  hrTimeObserved: now,
  severityNumber: 9,
  severityText: "INFO",
  body: "cart of jäger is paid",
  resource,
  instrumentationScope: scope,
  attributes: { amount: 12.5 },
  droppedAttributesCount: 0,
};

const exports = [
  [new JsonTraces({ url: `${base}/traces`, headers }), span],
  [new ProtoTraces({ url: `${base}/traces`, headers, compression: "gzip" }), span],
  [new OTLPLogExporter({ url: `${base}/logs`, headers, compression: "gzip" }), log],
];
for (const [exporter, record] of exports) {
  const { code, error } = await new Promise((resolve) =>
    exporter.export([record], resolve)
  );
  if (code !== 0) {
    console.error(error);
    process.exitCode = 2;
  }
  await exporter.shutdown();
}
