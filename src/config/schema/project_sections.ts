import { field, section } from "../config_field.ts";
import { anything, choice, count, duration, flag, nullable, orWord, text } from "../value_kind.ts";

const none = { about: "", effect: "none" } as const;
const ignored = () => field(anything, { ...none, default: null });

/** `cache`: project states (control reference, section 2). */
export const cacheSection = section({
  project_request_full_config: field(flag, { ...none, default: false }),
  project_expiry: field(duration({ unit: "s" }), { ...none, default: 300 }),
  project_grace_period: field(duration({ unit: "s" }), { ...none, default: 120 }),
  project_refresh_interval: field(nullable(duration({ unit: "s" })), { ...none, default: null }),
  relay_expiry: field(duration({ unit: "s" }), { ...none, default: 3600 }),
  miss_expiry: field(duration({ unit: "s" }), { ...none, default: 60 }),
  batch_interval: field(duration({ unit: "ms" }), { ...none, default: 100 }),
  downstream_relays_batch_interval: field(duration({ unit: "ms" }), { ...none, default: 100 }),
  batch_size: field(count(1), { ...none, default: 500 }),
  file_interval: field(duration({ unit: "s", minMs: 1 }), {
    default: 10,
    about: "How often the files in `projects` are read again",
  }),
  global_config_fetch_interval: field(duration({ unit: "s" }), { ...none, default: 10 }),
  eviction_interval: ignored(),
  event_buffer_size: ignored(),
  envelope_buffer_size: ignored(),
  event_expiry: ignored(),
  envelope_expiry: ignored(),
});

/** `auth`: relays downstream and registration (control reference, sections 2 and 3). */
export const authSection = section({
  ready: field(choice("authenticated", "always"), { ...none, default: "authenticated" }),
  static_relays: field(anything, { ...none, default: {} }),
  signature_max_age: field(duration({ unit: "s" }), { ...none, default: 300 }),
});

/** `outcomes` (control reference, sections 2 and 10). */
export const outcomesSection = section({
  emit_outcomes: field(orWord("as_client_reports", flag), { ...none, default: "as_client_reports" }),
  batch_size: field(count(1), { ...none, default: 1000 }),
  batch_interval: field(duration({ unit: "ms" }), { ...none, default: 500 }),
  source: field(nullable(text), { ...none, default: null }),
  aggregator: ignored(),
});

/** `routing` (control reference, section 2). */
export const routingSection = section({
  accept_unknown_items: field({ ...flag, read: (raw) => raw === null || flag.read(raw) }, {
    default: true,
    about: "Whether items of an unknown type are forwarded; when false they are dropped",
  }),
});
