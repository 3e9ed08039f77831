import { field, restart, section } from "../config_field.ts";
import {
  address,
  byteSize,
  certificates,
  choice,
  count,
  duration,
  flag,
  hosts,
  networks,
  nullable,
  orAuto,
  path,
  port,
  projectIds,
  text,
} from "../value_kind.ts";

/** Loopback, private and unique local networks. */
export const PRIVATE_NETWORKS: readonly string[] = [
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "::1/128",
  "fc00::/7",
];

/** More lanes than any machine this was measured on could feed. */
export const LANES_MAX = 64;

/** `listener`: how clients reach the node. */
export const listenerSection = section({
  exposure: field(choice("internet", "load_balancer"), {
    default: "internet",
    ...restart("another server"),
    about:
      "Who connects: anyone (`internet`: timeouts for slow clients), or a balancer that already bounds them " +
      "(`load_balancer`: less work per request, HTTP/2)",
  }),
  trusted_proxies: field(networks, {
    default: PRIVATE_NETWORKS,
    effect: "reload",
    about: "Peers whose word about the client's address is taken (`X-Forwarded-For` and the like)",
  }),
  drain_delay: field(duration({ unit: "s" }), {
    default: "0s",
    effect: "reload",
    about:
      "How long a stopping node goes on accepting while it already reports not ready; balancers want seconds",
  }),
  header_timeout: field(duration({ unit: "s", minMs: 1 }), {
    default: "10s",
    effect: "reload",
    about: "Longest time for the head of a request (exposure `internet`)",
  }),
  body_timeout: field(duration({ unit: "s", minMs: 1 }), {
    default: "30s",
    effect: "reload",
    about: "Longest pause between two parts of a body, and the span over which `body_rate_min` is averaged",
  }),
  body_rate_min: field(byteSize(), {
    default: 500,
    effect: "reload",
    about: "Least bytes per second of a body; slower ones are answered with 408; 0 for no bound",
  }),
  request_timeout: field(duration({ unit: "s", minMs: 1 }), {
    default: "5m",
    effect: "reload",
    about: "Longest time for a body, plus a second for each 16 KiB of it that has arrived",
  }),
  idle_timeout: field(duration({ unit: "s", minMs: 1 }), {
    default: "75s",
    effect: "reload",
    about: "How long a connection may stay open without a request (exposure `internet`)",
  }),
  answer_timeout: field(duration({ unit: "s", minMs: 1 }), {
    default: "30s",
    effect: "reload",
    about:
      "How long a client may take none of its answer before its connection ends, plus a second for each 16 KiB that was " +
      "sent at once (exposure `internet`)",
  }),
  connections_per_address: field(count(1), {
    default: 1000,
    effect: "reload",
    about:
      "Connections of one client address, of one /64 for IPv6, over all lanes (exposure `internet`); further ones are " +
      "reset. Trusted proxies are not bounded",
  }),
  proxy_protocol: field(choice("off", "trusted"), {
    default: "off",
    ...restart("how connections begin is settled with the port"),
    about:
      "`trusted`: every connection from `trusted_proxies` begins with a PROXY header, version 1 or 2, which says who the " +
      "client is; without one it is closed (exposure `internet`)",
  }),
  hosts: field(hosts, {
    default: [],
    effect: "reload",
    about:
      "Names under which the node is called, `*.` for subdomains; requests for other hosts are answered with 421. " +
      "None listed means any; health checks are answered under any name",
  }),
  tls_certificates: field(certificates, {
    default: [],
    ...restart("files are followed, not the list of them"),
    about:
      "Further certificates as `{cert: PATH, key: PATH}`, chosen by the host a client asks for (exposure `internet`)",
  }),
  hsts_max_age: field(nullable(duration({ unit: "s" })), {
    default: null,
    ...restart("headers of answers are made once"),
    about: "Answers over TLS tell browsers to come over TLS alone for this long",
  }),
  tunnel: section({
    path: field(nullable(path), {
      default: null,
      ...restart("routes are made once"),
      about:
        "Path that takes envelopes of browser SDKs with the option `tunnel`; the DSN in the envelope says whose they are",
    }),
    allowed_hosts: field(hosts, {
      default: [],
      effect: "reload",
      about: "Hosts of DSNs that may pass the tunnel beside that of `relay.upstream`; `*.` for subdomains",
    }),
    project_ids: field(projectIds, {
      default: [],
      effect: "reload",
      about: "Projects that may pass the tunnel; none listed means any",
    }),
  }),
  body_memory: field(byteSize(1), {
    default: "512MiB",
    effect: "reload",
    about:
      "Bytes of request bodies held in memory at once per lane (large ones are not, see Large records); beyond it requests are answered with 503",
  }),
});

/** `lanes`: how many workers share the work. */
export const lanesField = field(orAuto(count(1, LANES_MAX)), {
  default: "`auto`: half the processors, at least 1",
  derived: true,
  ...restart("partitions and shared memory are laid out for them"),
  about: "Lanes, each a listener, a spool partition and a forwarder of its own; at most 64",
});

/** `admin`: the listener for operators. */
export const adminSection = section({
  enabled: field(flag, {
    default: true,
    ...restart("ports are bound once"),
    about: "Whether there is an admin listener",
  }),
  host: field(address, {
    default: "127.0.0.1",
    ...restart("ports are bound once"),
    about: "Address of metrics and the status page",
  }),
  port: field(port, {
    default: 3080,
    ...restart("ports are bound once"),
    about: "Port of the admin listener; 0 takes any free one",
  }),
  socket: field(nullable(text), {
    default: null,
    ...restart("ports are bound once"),
    about: "Path of a unix socket (mode 0600) the admin listener is bound to instead of address and port",
  }),
  token: field(nullable(text), {
    default: null,
    effect: "reload",
    secret: true,
    about:
      "What every request to the admin listener has to bring as bearer token; needed when it is no loopback address",
  }),
});
