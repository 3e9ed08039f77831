import { z } from "zod";
import { field, listField, mapField, section } from "../config_field.ts";
import {
  choice,
  count,
  duration,
  hostPort,
  ids,
  nullable,
  orWord,
  pem,
  proxyUrl,
  ratio,
  serviceName,
  shares,
  text,
  texts,
  upstreamUrl,
  weight,
} from "../value_kind.ts";

/** An entry of `upstreams.*.endpoints`; one of `address`, `a`, `aaaa` and `srv` says where it is. */
export const endpointSection = section({
  address: field(nullable(hostPort), {
    effect: "reload",
    default: null,
    about: "An address or a name that is dialled as it is",
  }),
  a: field(nullable(hostPort), {
    effect: "reload",
    default: null,
    about: "A name whose IPv4 addresses are endpoints, one each",
  }),
  aaaa: field(nullable(hostPort), {
    effect: "reload",
    default: null,
    about: "A name whose IPv6 addresses are endpoints, one each",
  }),
  srv: field(nullable(serviceName), {
    effect: "reload",
    default: null,
    about:
      "A name whose service records are endpoints, with their ports; priority is added, weight multiplied",
  }),
  priority: field(count(0, 1000), {
    effect: "reload",
    default: 0,
    about: "The lowest tier with an available endpoint takes everything",
  }),
  weight: field(
    { ...weight, rule: "must be a number above 0", read: (raw) => weight.read(raw) || undefined },
    {
      effect: "reload",
      default: 1,
      about: "Share within its tier",
    },
  ),
});

/** A list of endpoints, as a file of its own holds it. */
export const endpointList: z.ZodType<readonly z.output<typeof endpointSection>[]> = z.array(endpointSection);

/** A value of `upstreams`. */
export const upstreamSection = section({
  url: field(nullable(upstreamUrl), {
    effect: "reload",
    default: null,
    about:
      "Scheme, `Host` header and TLS name, and the only endpoint unless others are named; for `default` it is " +
      "`relay.upstream` unless set",
  }),
  weight: field(nullable(weight), {
    effect: "reload",
    default: null,
    about: "Share of the keys that go there; 1 for `default` and 0 for others unless set",
  }),
  copy_to: field(nullable(text), {
    effect: "reload",
    default: null,
    about:
      "Upstream that gets a copy of every envelope this one took; what becomes of copies never matters to it",
  }),
  endpoints: listField(endpointSection, {
    effect: "reload",
    default: [],
    form: "list",
    max: 256,
    about: "Where connections go: see below",
  }),
  endpoints_file: field(nullable(text), {
    effect: "reload",
    default: null,
    about: "File with such a list (YAML or JSON) instead; it is read again when it changed",
  }),
  refresh_interval: field(duration({ unit: "s", minMs: 100 }), {
    effect: "reload",
    default: "30s",
    about: "How often names and `endpoints_file` are looked at again, less up to a fifth at random",
  }),
  probe_interval: field(nullable(duration({ unit: "s", minMs: 100 })), {
    effect: "reload",
    default: "10s",
    about: "How often each of several endpoints is asked for a sign of life; null for never",
  }),
  slow_start: field(duration({ unit: "s" }), {
    effect: "reload",
    default: "30s",
    about: "Time over which an endpoint that returned grows to its whole weight",
  }),
  ejection: section({
    failures: field(count(1), {
      effect: "reload",
      default: 5,
      about:
        "Failures in a row (no answer, or one from 500 on) that eject an endpoint, unless it is the last",
    }),
    base: field(duration({ unit: "s", minMs: 1 }), {
      effect: "reload",
      default: "30s",
      about: "Length of the first ejection; the next are two, three times as long",
    }),
    max: field(duration({ unit: "s", minMs: 1 }), {
      default: "5m",
      effect: "reload",
      about: "Longest ejection",
    }),
  }),
  retry_budget: field(ratio, {
    effect: "reload",
    default: 0.2,
    about: "Share of requests that may be tried at another endpoint at once; the others are sent again later",
  }),
  encoding: field(nullable(choice("auto", "identity", "deflate", "gzip", "br", "zstd")), {
    effect: "reload",
    default: null,
    about: "As `http.encoding`, which holds unless set",
  }),
  host_header: field(nullable(text), {
    effect: "reload",
    default: null,
    about: "`Host` header instead of the one made of the URL; for `default`, `http.host_header` unless set",
  }),
  authorization: field(nullable(text), {
    effect: "reload",
    default: null,
    secret: true,
    about: "Value of an `Authorization` header, for upstreams behind a door of their own",
  }),
  tls: section({
    server_name: field(nullable(text), {
      effect: "reload",
      default: null,
      about: "Name asked for and verified, whatever address is dialled; that of the URL unless set",
    }),
    ca: field(nullable(pem), {
      effect: "reload",
      default: null,
      about: "Certificates trusted beside the usual ones, e.g. `${file:ca.pem}`",
    }),
    certificate: field(nullable(pem), {
      default: null,
      effect: "reload",
      about: "Client certificate, with its chain",
    }),
    private_key: field(nullable(pem), {
      effect: "reload",
      default: null,
      secret: true,
      about: "Key of the client certificate",
    }),
  }),
  proxy: field(nullable(orWord("none", proxyUrl)), {
    effect: "reload",
    default: null,
    about:
      "HTTP proxy that is asked for a tunnel (`CONNECT`); unless set, that of the environment (`https_proxy`, " +
      "`http_proxy`, `all_proxy`)",
  }),
  no_proxy: field(nullable(texts), {
    effect: "reload",
    default: null,
    about: "Hosts, domains and networks reached without the proxy; unless set, those of `no_proxy`",
  }),
});

/** A rule of `upstream_routes`. */
export const routeSection = section({
  keys: field(texts, { default: [], effect: "reload", about: "Public keys" }),
  projects: field(ids, { default: [], effect: "reload", about: "Ids of projects" }),
  organizations: field(ids, {
    default: [],
    effect: "reload",
    about: "Ids of organisations, where project states name them",
  }),
  to: field(shares, { default: null, effect: "reload", about: "Upstream, or upstreams and their weights" }),
});

/** `upstreams`: where envelopes go when one URL does not say it all. */
export const upstreamsField = mapField(upstreamSection, {
  effect: "reload",
  default: {},
  form: "map",
  about: "Upstreams by name, see [Upstreams](#upstreams); `default` is that of `relay.upstream`",
});

/** `upstream_routes`: which keys go to which upstream. */
export const upstreamRoutesField = listField(routeSection, {
  effect: "reload",
  default: [],
  form: "list",
  max: 1000,
  about: "Rules that send projects to an upstream whatever the weights; the first that fits counts",
});
