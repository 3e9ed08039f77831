/** A service record: lower priorities first, then by weight. */
export interface ServiceRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** Answers DNS questions; rejects when there is no answer, also when the name does not exist. */
export interface DnsResolver {
  addresses(name: string, type: "A" | "AAAA"): Promise<readonly string[]>;
  services(name: string): Promise<readonly ServiceRecord[]>;
}

/** Asks the name servers the system is set up with. */
export const denoResolver: DnsResolver = {
  addresses: (name, type) => type === "A" ? Deno.resolveDns(name, "A") : Deno.resolveDns(name, "AAAA"),
  services: (name) => Deno.resolveDns(name, "SRV"),
};
