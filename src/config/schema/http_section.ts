import { field, section } from "../config_field.ts";
import { choice, duration, flag, nullable, text } from "../value_kind.ts";

/** `http`: the client that talks to the upstream (control reference, section 2). */
export const httpSection = section({
  timeout: field(duration({ unit: "s", minMs: 1 }), {
    default: 5,
    effect: "reload",
    about:
      "Longest time for one request to the upstream, from its first byte to the end of the answer; when it is passed on, " +
      "for each wait for the upstream",
  }),
  connection_timeout: field(duration({ unit: "s", minMs: 1 }), {
    default: 3,
    effect: "reload",
    about: "Longest time to connect to the upstream, TLS included",
  }),
  retry_delay: field(duration({ unit: "s", minMs: 1 }), {
    default: 1,
    effect: "reload",
    about: "Wait before the first retry; it grows with every further one",
  }),
  max_retry_interval: field(duration({ unit: "s", minMs: 1 }), {
    default: 60,
    effect: "reload",
    about: "Longest wait between two retries or probes",
  }),
  outage_grace_period: field(duration({ unit: "s" }), {
    default: 10,
    effect: "reload",
    about: "How long network errors may last before the node stops sending and only probes the upstream",
  }),
  host_header: field(nullable(text), {
    default: null,
    effect: "reload",
    about: "`Host` header sent upstream instead of the upstream's own name",
  }),
  encoding: field(choice("auto", "identity", "deflate", "gzip", "br", "zstd"), {
    default: "auto",
    effect: "reload",
    about:
      "Content encoding of forwarded bodies: `auto` leaves compressed ones as they came and compresses large " +
      "others, a name forces that encoding for all",
  }),
  forward: field(flag, {
    default: true,
    effect: "reload",
    about:
      "Whether requests below `/api/` that are no telemetry are passed on to the upstream; when false they get 404",
  }),
  auth_interval: field(nullable(duration({ unit: "s" })), {
    default: 600,
    effect: "reload",
    about: "How often the registration at the upstream is renewed; 0 or null for never (mode `managed`)",
  }),
  project_failure_interval: field(duration({ unit: "s" }), {
    default: 90,
    effect: "reload",
    about: "How long fetching of project states may fail before that is logged as an error",
  }),
  global_metrics: field(flag, { default: false, about: "", effect: "none" }),
  dns_cache: field(flag, { default: true, about: "", effect: "none" }),
});
