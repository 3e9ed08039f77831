import { field, listField, section } from "../config_field.ts";
import { globs, offences, projectKeys, requestRate, zoneKeyKind, zoneNameKind } from "../guard_kind.ts";
import { count, duration, flag, networks, nullable, ratio } from "../value_kind.ts";

/** Every request goes through all of them. */
export const ZONES_MAX = 8;

const zone = section({
  name: field(nullable(zoneNameKind), { default: null, effect: "reload", about: "" }),
  key: field(zoneKeyKind, { default: undefined, effect: "reload", about: "" }),
  rate: field(requestRate, { default: undefined, effect: "reload", about: "" }),
  burst: field(count(0, 10_000_000), { default: 0, effect: "reload", about: "" }),
  delay: field(nullable(count(0, 10_000_000)), { default: null, effect: "reload", about: "" }),
  entries: field(count(8, 10_000_000), { default: 65_536, effect: "reload", about: "" }),
  dry_run: field(flag, { default: false, effect: "reload", about: "" }),
});

const rule = section({
  on: field(offences, { default: undefined, effect: "reload", about: "" }),
  refusals: field(count(1, 1_000_000), { default: undefined, effect: "reload", about: "" }),
  within: field(duration({ unit: "s", minMs: 1 }), { default: undefined, effect: "reload", about: "" }),
  ban: field(duration({ unit: "s", minMs: 1 }), { default: undefined, effect: "reload", about: "" }),
});

const list = (whom: string) =>
  section({
    addresses: field(networks, {
      default: [],
      effect: "reload",
      about: `Clients, by address, that ${whom}`,
    }),
    project_keys: field(projectKeys, {
      default: [],
      effect: "reload",
      about: `Public keys whose requests ${whom}`,
    }),
    user_agents: field(globs, {
      default: [],
      effect: "reload",
      about: `User agents (globs, case ignored) that ${whom}; anyone can claim any`,
    }),
  });

/** `guard`: what keeps abuse out, and what is given up when a node has too much to do. */
export const guardSection = section({
  requests_max: field(nullable(count(1)), {
    default: 10_000,
    effect: "reload",
    about: "Requests being read or answered at once, all lanes together; further ones are answered with 503",
  }),
  requests_per_address: field(nullable(count(1)), {
    default: 1000,
    effect: "reload",
    about: "The same for one client address (IPv6: /64), with 429: a tenth of what the node takes",
  }),
  requests_per_project: field(nullable(count(1)), {
    default: 5000,
    effect: "reload",
    about: "The same for one project id, with 429: half of what the node takes",
  }),
  zones: listField(zone, {
    default: [{ key: "address", rate: "5000r/s", burst: 10_000 }],
    form: "list of zones",
    max: ZONES_MAX,
    effect: "reload",
    about:
      `Rate limits as nginx's \`limit_req\`, at most ${ZONES_MAX}. A zone has a \`key\` (\`address\`, \`project_key\`, \`project_id\`, ` +
      "`organization`, or two of them joined with `+`), a `rate` (`100r/s`, `600r/m`), a `burst`, a `delay` (requests of the burst " +
      "that are not held back; without it none is), `entries` (keys remembered, 65536), `dry_run` (only counts) and a `name` in " +
      "metrics (that of its key)",
  }),
  held_max: field(count(0, 1_000_000), {
    default: 1000,
    effect: "reload",
    about: "Requests per lane that zones with a `delay` hold back at once; further ones are refused",
  }),
  bans: listField(rule, {
    default: [],
    form: "list of rules",
    max: 16,
    effect: "reload",
    about:
      "Rules that ban addresses: after so many `refusals` of the kinds named in `on` (`rate`, `malformed`, `unauthorized`, " +
      "`not_found`, `timeout`) `within` so long, `ban` for so long",
  }),
  bans_max: field(count(1, 1_000_000), {
    default: 10_000,
    effect: "reload",
    about: "Entries of the ban list",
  }),
  allow: list("no list, ban or zone applies to"),
  deny: list("are answered with 403"),
  shed: section({
    bulky_from: field(ratio, {
      default: 0.8,
      effect: "reload",
      about: "Pressure from which replays, profiles and attachments are refused with 429",
    }),
    costly_from: field(ratio, {
      default: 0.9,
      effect: "reload",
      about: "Pressure from which transactions, spans, logs and metrics are refused with 429",
    }),
    everything_from: field(ratio, {
      default: 1,
      effect: "reload",
      about: "Pressure from which everything but health checks is refused with 429, before its body is read",
    }),
    event_loop_delay: field(duration({ unit: "s", minMs: 1 }), {
      default: "500ms",
      effect: "reload",
      about: "Delay of a lane's event loop that counts as pressure 1",
    }),
  }),
});
