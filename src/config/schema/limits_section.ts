import { field, restart, section } from "../config_field.ts";
import { byteSize, count, duration, nullable } from "../value_kind.ts";

const size = (value: string, about: string) => field(byteSize(), { default: value, effect: "reload", about });
const unusedSize = (value: string) => field(byteSize(), { default: value, about: "", effect: "none" });

/** `limits`: what is too large or too much (ingestion reference, section 4.2; control reference, section 2). */
export const limitsSection = section({
  max_concurrent_requests: field(count(1), {
    default: 100,
    effect: "reload",
    about:
      "Requests to the upstream at the same time, shared by the lanes, and as many of those that are passed on",
  }),
  max_envelope_size: size("200MiB", "Body of one request, after decompression"),
  max_event_size: size(
    "1MiB",
    "Event, transaction, feedback or security item, and the body of a store request",
  ),
  max_attachment_size: size("200MiB", "One attachment"),
  max_attachment_count: field(count(), {
    default: 30,
    effect: "reload",
    about: "Attachments of one envelope",
  }),
  max_attachments_size: size("200MiB", "All attachments of one envelope"),
  max_upload_size: size(
    "1GiB",
    "One resumable upload; with `max_attachments_size` added, the body of a crash report",
  ),
  max_client_reports_size: size("100KiB", "All client reports of one envelope"),
  max_client_reports_count: field(count(), {
    default: 100,
    effect: "reload",
    about: "Client reports of one envelope",
  }),
  max_check_in_size: size("100KiB", "A check-in"),
  max_sessions_size: size("10MiB", "All sessions of one envelope"),
  max_session_count: field(count(), { default: 100, effect: "reload", about: "Sessions of one envelope" }),
  max_profile_size: size("50MiB", "A profile or profile chunk"),
  max_trace_metric_size: size("1MiB", "A trace metric, on average over its container"),
  max_log_size: size("2MiB", "A log, on average over its container"),
  max_span_size: size("10MiB", "A span, or the average over its container"),
  max_standalone_span_count: field(count(), {
    default: 25,
    effect: "reload",
    about: "Single spans of one envelope",
  }),
  max_container_size: size("12MiB", "A container of logs, spans or metrics"),
  max_statsd_size: size("1MiB", "A statsd item"),
  max_metric_buckets_size: size("1MiB", "A metric buckets item"),
  max_replay_compressed_size: size("10MiB", "A replay recording or video, as sent"),
  max_api_payload_size: size("20MiB", "Answer of the upstream, and body of a request to its API"),
  max_api_file_upload_size: size("40MiB", "Body of an upload of release files or debug files"),
  max_api_chunk_upload_size: size("100MiB", "Body of a chunked upload"),
  shutdown_timeout: field(duration({ unit: "s" }), {
    default: 10,
    effect: "reload",
    about: "Longest time from the first signal to the exit; what is unsent stays on disk",
  }),
  max_connections: field(nullable(count(1)), {
    default: null,
    effect: "reload",
    about:
      "Client connections held at once (exposure `internet`); further ones are reset. Never more than the limit of open " +
      "files less 192, which is also what null means; 1024 is assumed unless the system tells another",
  }),
  tcp_listen_backlog: field(count(1), {
    default: 1024,
    ...restart("ports are bound once"),
    about: "Connections the system holds until they are accepted; its own bound (`somaxconn`) may be lower",
  }),
  max_concurrent_queries: field(count(1), {
    default: 5,
    effect: "reload",
    about: "Requests for project states at the same time (mode `managed`)",
  }),
  max_replay_uncompressed_size: unusedSize("100MiB"),
  max_replay_size: field(nullable(byteSize()), { default: null, about: "", effect: "none" }),
  max_replay_message_size: unusedSize("15MiB"),
  max_thread_count: field(nullable(count(1)), { default: null, about: "", effect: "none" }),
  max_pool_concurrency: field(count(1), { default: 1, about: "", effect: "none" }),
  query_timeout: field(duration({ unit: "s", minMs: 1 }), {
    default: 30,
    effect: "reload",
    about: "Longest time for one question to the upstream: registration, project states, keys of relays",
  }),
  keepalive_timeout: field(duration({ unit: "s" }), { default: 5, about: "", effect: "none" }),
  idle_timeout: field(nullable(duration({ unit: "s" })), { default: null, about: "", effect: "none" }),
});
