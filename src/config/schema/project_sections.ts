import { field, restart, section } from "../config_field.ts";
import { staticRelays } from "../static_relays.ts";
import {
  anything,
  choice,
  count,
  duration,
  flag,
  nullable,
  orWord,
  pem,
  redisUrl,
  text,
} from "../value_kind.ts";

const none = { about: "", effect: "none" } as const;
const ignored = () => field(anything, { ...none, default: null });

/** `cache`: project states (control reference, section 2). */
export const cacheSection = section({
  project_request_full_config: field(flag, {
    default: false,
    effect: "reload",
    about: "Whether quotas and sampling are asked for, too; an upstream gives them to internal relays only",
  }),
  project_expiry: field(duration({ unit: "s", minMs: 1 }), {
    default: 300,
    effect: "reload",
    about: "Age from which on a project's state is fetched again when it is used (mode `managed`)",
  }),
  project_grace_period: field(duration({ unit: "s" }), {
    default: 120,
    effect: "reload",
    about: "How long a state is used beyond that while it is fetched; an upstream that is away prolongs it",
  }),
  project_refresh_interval: field(nullable(duration({ unit: "s" })), {
    default: null,
    effect: "reload",
    about:
      "Age at which a state is fetched again although nobody uses it; between `project_grace_period` and the sum of both",
  }),
  projects_max: field(count(1), {
    default: 50000,
    effect: "reload",
    about: "Public keys whose states are known at once; beyond it those go that were not wanted for longest",
  }),
  relay_expiry: field(duration({ unit: "s" }), {
    default: 3600,
    effect: "reload",
    about: "How long the public key of a relay downstream is believed",
  }),
  miss_expiry: field(duration({ unit: "s" }), {
    default: 60,
    effect: "reload",
    about: "How long an unknown relay downstream is not asked for again",
  }),
  batch_interval: field(duration({ unit: "ms" }), {
    default: 100,
    effect: "reload",
    about: "How long keys are gathered before their states are fetched together",
  }),
  downstream_relays_batch_interval: field(duration({ unit: "ms" }), {
    default: 100,
    effect: "reload",
    about: "The same for public keys of relays downstream",
  }),
  batch_size: field(count(1), {
    default: 500,
    effect: "reload",
    about: "Most keys of one request for states",
  }),
  file_interval: field(duration({ unit: "s", minMs: 1 }), {
    default: 10,
    effect: "reload",
    about: "How often the files in `projects` are read again",
  }),
  global_config_fetch_interval: field(duration({ unit: "s", minMs: 1 }), {
    default: 10,
    effect: "reload",
    about: "How often the global configuration is fetched (mode `managed`)",
  }),
  eviction_interval: ignored(),
  event_buffer_size: ignored(),
  envelope_buffer_size: ignored(),
  event_expiry: ignored(),
  envelope_expiry: ignored(),
});

/** `auth`: relays downstream and registration (control reference, sections 2 and 3). */
export const authSection = section({
  ready: field(choice("authenticated", "always"), {
    default: "authenticated",
    effect: "reload",
    about: "Whether a node in mode `managed` is ready only while its upstream knows it",
  }),
  static_relays: field(staticRelays, {
    default: {},
    ...restart("signatures on disk are checked by it"),
    about:
      "Relays downstream by id, each with its `public_key` and whether it is `internal`; others are asked for " +
      "upstream. What an internal one signs is taken for every project",
  }),
  signature_max_age: field(duration({ unit: "s" }), {
    default: 300,
    ...restart("signatures on disk are checked by it"),
    about: "Age up to which signatures count, of projects that take envelopes from trusted relays only",
  }),
});

/** `outcomes` (control reference, sections 2 and 10). */
export const outcomesSection = section({
  emit_outcomes: field(orWord("as_client_reports", flag), {
    default: "as_client_reports",
    ...restart("outcomes are gathered for it"),
    about:
      "Whether the upstream is told what did not reach it, in client reports; `true` means the same, as " +
      "upstreams no longer take raw outcomes",
  }),
  report_interval: field(duration({ unit: "s", minMs: 1 }), {
    default: 60,
    ...restart("outcomes are gathered for it"),
    about: "How long outcomes are added up before a client report tells of them",
  }),
  batch_size: field(count(1), { ...none, default: 1000 }),
  batch_interval: field(duration({ unit: "ms" }), { ...none, default: 500 }),
  source: field(nullable(text), { ...none, default: null }),
  aggregator: ignored(),
});

/** `quotas`. */
export const quotasSection = section({
  store: field(nullable(redisUrl), {
    default: null,
    ...restart("counts are shared with other nodes"),
    about: "Redis or Valkey through which the nodes of a PoP share quotas, `redis://` or `rediss://`; " +
      "while it is away each node counts for itself",
  }),
  store_ca: field(nullable(pem), {
    default: null,
    ...restart("counts are shared with other nodes"),
    about: "Certificates trusted beside the usual ones for a `rediss://` store, e.g. `${file:ca.pem}`",
  }),
});

/** `routing` (control reference, section 2). */
export const routingSection = section({
  accept_unknown_items: field({ ...nullable(flag), read: (raw) => raw === null || flag.read(raw) }, {
    default: true,
    effect: "reload",
    about: "Whether items of an unknown type are forwarded; when false they are dropped",
  }),
});
