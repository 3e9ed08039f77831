/**
 * The configuration of a node: its schema, its type and the list of its keys.
 *
 * Why Relay's names: an operator of a Relay points a node at the folder that is already there. What Relay lacks has
 * sections of its own (`listener`, `guard`, `lanes`, `admin`, and `spool` outside `spool.envelopes`). Relay's options that mean
 * nothing here are accepted, and named in one warning; any other unknown key is an error.
 *
 * Layout: `schema/` declares the keys, one file per group of sections; `value_kind.ts` says how values are read;
 * `load_config.ts` puts defaults, file, environment and flags together and remembers where each value came from.
 */
import type { z } from "zod";
import { type ConfigKey, field, keysOf, section } from "./config_field.ts";
import { anything } from "./value_kind.ts";
import { adminSection, lanesField, listenerSection } from "./schema/listener_section.ts";
import {
  healthSection,
  loggingSection,
  metricsSection,
  sentrySection,
} from "./schema/observability_sections.ts";
import { guardSection } from "./schema/guard_section.ts";
import { httpSection } from "./schema/http_section.ts";
import { limitsSection } from "./schema/limits_section.ts";
import {
  authSection,
  cacheSection,
  outcomesSection,
  quotasSection,
  routingSection,
} from "./schema/project_sections.ts";
import { accessLogSection, logShippingField } from "./schema/log_sections.ts";
import { relaySection } from "./schema/relay_section.ts";
import { upstreamRoutesField, upstreamsField } from "./schema/upstreams_section.ts";
import { spoolSection } from "./schema/spool_section.ts";

/** Sections of a Relay that have no counterpart here. */
const foreign = () => field(anything, { default: null, about: "", effect: "none" });

/** Schema of `config.yml`. */
export const configSchema = section({
  relay: relaySection,
  listener: listenerSection,
  guard: guardSection,
  lanes: lanesField,
  http: httpSection,
  upstreams: upstreamsField,
  upstream_routes: upstreamRoutesField,
  limits: limitsSection,
  spool: spoolSection,
  routing: routingSection,
  admin: adminSection,
  logging: loggingSection,
  access_log: accessLogSection,
  log_shipping: logShippingField,
  health: healthSection,
  cache: cacheSection,
  auth: authSection,
  outcomes: outcomesSection,
  quotas: quotasSection,
  metrics: metricsSection,
  sentry: sentrySection,
  processing: foreign(),
  geoip: foreign(),
  normalization: foreign(),
  aggregator: foreign(),
  secondary_aggregators: foreign(),
  cardinality_limiter: foreign(),
  upload: foreign(),
});

/**
 * A valid configuration. Sizes are bytes, durations milliseconds unless the name says `Secs`,
 * `relay.upstream` is `scheme://host[:port]/`; names are
 * those of the file in camel case (`config.spool.envelopes.maxDiskSize`). Plain data: it can be posted to workers.
 */
export type Config = z.output<typeof configSchema>;

/** Every key of `config.yml`. */
export const CONFIG_KEYS: readonly ConfigKey[] = keysOf(configSchema);
