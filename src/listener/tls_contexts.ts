/**
 * The certificate for each new TLS connection. What is replaced stays with the connections that began with it, so a renewal
 * ends none of them.
 */
import { createSecureContext, type SecureContext } from "node:tls";
import { readCertificate, type TlsMaterial } from "./tls_material.ts";

/** Oldest version of TLS that is spoken. */
const TLS_VERSION_MIN = "TLSv1.2";

/** Certificates by host. */
export class TlsContexts {
  #byHost: ReadonlyMap<string, SecureContext> = new Map();
  #default!: SecureContext;

  constructor(material: TlsMaterial) {
    this.replace(material);
  }

  /** From now on connections get these. Throws, and changes nothing, when one cannot be used. */
  replace(material: TlsMaterial): void {
    const byHost = new Map<string, SecureContext>();
    const contexts = material.map((one) => {
      const { hosts } = readCertificate(one);
      const context = createSecureContext({
        cert: one.certificate,
        key: one.key,
        minVersion: TLS_VERSION_MIN,
      });
      for (const host of hosts) if (!byHost.has(host)) byHost.set(host, context);
      return context;
    });
    this.#byHost = byHost;
    this.#default = contexts[0]!;
  }

  /** Context for the host a client asked for; empty for none. */
  for(host: string): SecureContext {
    const name = host.toLowerCase();
    const wildcard = `*${name.slice(name.indexOf("."))}`;
    return this.#byHost.get(name) ?? this.#byHost.get(wildcard) ?? this.#default;
  }
}
