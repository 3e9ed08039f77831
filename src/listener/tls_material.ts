/** Certificates of the TLS port, as text, and what can be read from them. */
import { createPrivateKey, X509Certificate } from "node:crypto";

/** A certificate chain and its key, both PEM. */
export interface TlsCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Certificates of a listener; the first one is for clients that name no host, or none of theirs. */
export type TlsMaterial = readonly [TlsCertificate, ...TlsCertificate[]];

/** What a certificate says. */
export interface CertificateFacts {
  /** Hosts it is for, lower case; `*.` at the start stands for one label. */
  readonly hosts: readonly string[];
  /** Wall clock. */
  readonly expiresAtMs: number;
}

/** A certificate or key that cannot be used; the message never holds any of it. */
export class TlsMaterialError extends Error {
  override readonly name = "TlsMaterialError";
}

/**
 * Reads a certificate and checks that its key belongs to it.
 *
 * @throws {TlsMaterialError} it is none, or the key is another one's
 */
export function readCertificate({ certificate, key }: TlsCertificate): CertificateFacts {
  const parsed = attempt("holds no certificate in PEM", () => new X509Certificate(certificate));
  const privateKey = attempt("holds no private key in PEM without a password", () => createPrivateKey(key));
  if (!attempt("holds a key that cannot be checked", () => parsed.checkPrivateKey(privateKey))) {
    throw new TlsMaterialError("certificate and key do not belong together");
  }
  return { hosts: hostsOf(parsed.subjectAltName ?? ""), expiresAtMs: Date.parse(parsed.validTo) };
}

function hostsOf(subjectAltName: string): string[] {
  return [...subjectAltName.matchAll(/(?:^|, )DNS:([^,]+)/g)].map((match) => match[1]!.toLowerCase());
}

function attempt<T>(problem: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw new TlsMaterialError(problem);
  }
}
