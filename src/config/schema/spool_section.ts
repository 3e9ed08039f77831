import { field, restart, section } from "../config_field.ts";
import { anything, byteSize, choice, count, duration, ratio, text } from "../value_kind.ts";

const ignored = () => field(anything, { default: null, about: "", effect: "none" });

/** `spool`: the buffer on disk. Relay's keys are in `spool.envelopes` (control reference, section 2). */
export const spoolSection = section({
  envelopes: section({
    path: field(text, {
      default: "`spool` in the configuration folder",
      derived: true,
      ...restart("records lie there"),
      about: "Folder of the spool; one node at a time may use it",
    }),
    max_disk_size: field(byteSize(1), {
      default: "500MiB",
      effect: "reload",
      about: "Bytes on disk above which envelopes are refused with 429",
    }),
    max_envelope_delay_secs: field(count(1), {
      default: 86400,
      effect: "reload",
      about: "Age in seconds at which an envelope that could not be forwarded is dropped",
    }),
    batch_size_bytes: ignored(),
    stack_batch_size_bytes: ignored(),
    flush_timeout_secs: ignored(),
    disk_usage_refresh_frequency_ms: ignored(),
    max_backpressure_memory_percent: ignored(),
    max_backpressure_envelopes: ignored(),
    max_batches: ignored(),
    max_memory_size: ignored(),
    max_connections: ignored(),
    min_connections: ignored(),
    unspool_interval: ignored(),
    partitions: ignored(),
    partitioning: ignored(),
    ephemeral: ignored(),
    version: ignored(),
  }),
  free_space: field(byteSize(), {
    default: "0",
    ...restart("room on the volume is counted from it"),
    about:
      "Bytes to leave free on the spool's volume, whoever fills it; below, envelopes are refused with 429 as by a full spool",
  }),
  ack: field(choice("disk", "memory"), {
    default: "disk",
    ...restart("another writer"),
    about:
      "When an envelope is answered with 200: once it is on disk, or once it is in memory, within the bounds below",
  }),
  ack_memory: field(byteSize(1), {
    default: "16MiB",
    effect: "reload",
    about:
      "With `ack: memory`, most bytes of the node that are answered and not on disk; beyond it answers wait for the disk",
  }),
  ack_delay: field(duration({ unit: "s", minMs: 1 }), {
    default: "500ms",
    effect: "reload",
    about:
      "With `ack: memory`, longest time of which what was answered may be missing on disk; beyond it answers wait",
  }),
  segment_size: field(byteSize(4096), {
    default: "64MiB",
    effect: "reload",
    about: "Size at which a segment file is closed and the next one started",
  }),
  checkpoint_interval: field(duration({ unit: "s", minMs: 1 }), {
    default: "100ms",
    effect: "reload",
    about:
      "How often it is written down which envelopes are done; what is done but not written down is sent again " +
      "after a crash",
  }),
  fresh_for: field(duration({ unit: "s", minMs: 1 }), {
    default: "10s",
    effect: "reload",
    about: "Age up to which an envelope is forwarded before all that waits longer",
  }),
  backlog_share: field(ratio, {
    default: 0.25,
    effect: "reload",
    about: "Share of forwarding that the backlog keeps while fresh envelopes come without a pause, 0 to 1",
  }),
  project_share: field(ratio, {
    default: 1,
    ...restart("memory is laid out for it"),
    about:
      "Share of `max_disk_size` that one project may occupy; from the shares of it below on it alone is refused with " +
      "429. 1: no project is held to a share",
  }),
  shed: section({
    bulky_from: field(ratio, {
      default: 0.7,
      effect: "reload",
      about: "Share of the bound from which replays, profiles and attachments are refused with 429",
    }),
    costly_from: field(ratio, {
      default: 0.85,
      effect: "reload",
      about: "Share of the bound from which transactions, spans, logs and metrics are refused with 429",
    }),
  }),
  dead_letter_size: field(byteSize(), {
    default: "64MiB",
    effect: "reload",
    about:
      "Bytes kept of envelopes the upstream refused for good, all lanes together; the oldest of a lane go first",
  }),
});
