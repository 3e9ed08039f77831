import { field, restart, section } from "../config_field.ts";
import {
  address,
  anything,
  choice,
  duration,
  flag,
  nullable,
  port,
  text,
  upstreamUrl,
  type ValueKind,
} from "../value_kind.ts";

/** A Relay's certificate, in a form that is not read here. */
const noPkcs12: ValueKind<null> = {
  ...anything,
  rule: "is not supported; set relay.tls_cert_path and relay.tls_key_path to PEM files, made by " +
    "`openssl pkcs12 -in IDENTITY -nokeys -out cert.pem` and `openssl pkcs12 -in IDENTITY -nocerts -nodes -out key.pem`",
  json: { type: "null" },
  read: (raw) => raw === null ? null : undefined,
};

const none = { default: null, effect: "none", about: "" } as const;

/** `relay`: what the node is and where it listens (control reference, section 2). */
export const relaySection = section({
  mode: field(choice("managed", "proxy", "static"), {
    default: "managed",
    ...restart("another control plane"),
    about:
      "Where project states come from: nowhere (`proxy`), `projects/*.json` (`static`), the upstream (`managed`)",
  }),
  upstream: field(upstreamUrl, {
    default: "https://sentry.io/",
    effect: "reload",
    about: "Where envelopes are forwarded to",
  }),
  host: field(address, {
    default: "`127.0.0.1`, in a Docker container `0.0.0.0`",
    derived: true,
    ...restart("ports are bound once"),
    about: "Address the ingestion listener is bound to",
  }),
  port: field(port, {
    default: 3000,
    ...restart("ports are bound once"),
    about: "Port of the ingestion listener; 0 takes any free one",
  }),
  internal_host: field(nullable(address), {
    default: null,
    ...restart("ports are bound once"),
    about:
      "Address of a second listener for `/api/relay/*`; that listener exists when either half is set, and the " +
      "other half is taken from `relay.host` or `relay.port`",
  }),
  internal_port: field(nullable(port), {
    default: null,
    ...restart("ports are bound once"),
    about: "Port of the second listener",
  }),
  override_project_ids: field(flag, {
    default: false,
    effect: "reload",
    about: "Take the project id from the project's state instead of checking the one in the request",
  }),
  instance: field(text, { ...none, default: "default" }),
  advertised_upstream: field(nullable(upstreamUrl), {
    default: null,
    effect: "reload",
    about: "Told to relays downstream as the place to send envelopes to",
  }),
  config_reload_interval: field(nullable(duration({ unit: "s" })), {
    default: null,
    effect: "reload",
    about:
      "How often the configuration's files are looked at, to be loaded again once they changed; 0 is as often as can be",
  }),
  tls_port: field(nullable(port), {
    default: null,
    ...restart("ports are bound once"),
    about: "Port of the ingestion listener with TLS, beside the plain one; 0 takes any free one",
  }),
  tls_cert_path: field(nullable(text), {
    default: null,
    ...restart("the file is followed, not its name"),
    about: "Certificate and its chain, PEM; a renewed file is taken into use within seconds",
  }),
  tls_key_path: field(nullable(text), {
    default: null,
    ...restart("the file is followed, not its name"),
    about: "Key of the certificate, PEM, without a password",
  }),
  tls_identity_path: field(noPkcs12, none),
  tls_identity_password: field(anything, { ...none, secret: true }),
});
