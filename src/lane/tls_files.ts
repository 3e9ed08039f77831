/**
 * The certificates of a node, from the files that an ACME client or an operator renews.
 *
 * At the start a file that cannot be used is an error. Later, when the files are looked at again, it is reported once and the
 * certificates before it stay in use. A renewal writes certificate and key one after the other, so for a moment they may not
 * belong together: the next look finds the rest.
 */
import { ConfigError, type Problem } from "../config/config_error.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import {
  readCertificate,
  type TlsCertificate,
  type TlsMaterial,
  TlsMaterialError,
} from "../listener/tls_material.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/registry.ts";

const log = logger("tls");

/** How often the files are looked at. */
const INTERVAL_MS = 1000;

interface CertificateFiles {
  readonly certPath: string;
  readonly keyPath: string;
  /** Key of the configuration that names them. */
  readonly configKey: string;
}

/** Reads text files and their times of change; tests hand in their own. */
export interface TlsFileReader {
  read(path: string): string;
  /** Something that differs when the file was changed. */
  stamp(path: string): string;
}

const diskReader: TlsFileReader = {
  read: (path) => Deno.readTextFileSync(path),
  stamp(path) {
    const { mtime, size, ino } = Deno.statSync(path);
    return `${mtime?.getTime()}/${size}/${ino}`;
  },
};

/** Keeper of the current certificates. */
export class TlsFiles {
  readonly #loaded: LoadedConfig;
  readonly #metrics: Metrics;
  readonly #reader: TlsFileReader;
  readonly #files: readonly CertificateFiles[];
  #material: TlsMaterial | null = null;
  #expiresAtMs = Infinity;
  #stamps = "";
  #reported = "";
  #nextLookMs = 0;

  constructor(loaded: LoadedConfig, metrics: Metrics, reader: TlsFileReader = diskReader) {
    this.#loaded = loaded;
    this.#metrics = metrics;
    this.#reader = reader;
    this.#files = filesOf(loaded);
  }

  /** The certificates in use; null without a TLS port. */
  get material(): TlsMaterial | null {
    return this.#material;
  }

  /**
   * Reads the files for the first time.
   *
   * @throws {ConfigError} one of them cannot be used
   */
  load(nowMs: number): void {
    if (this.#files.length === 0) return;
    const problems: Problem[] = [];
    this.#stamps = this.#currentStamps();
    this.#take(
      this.#files.map((files) => this.#read(files, (rule) => problems.push(this.#problem(files, rule)))),
    );
    if (problems.length > 0) throw new ConfigError(problems);
    this.observe(nowMs);
  }

  /** Renewed certificates, when it is time to look and there are any; otherwise null. */
  reloadIfDue(elapsedMs: number): TlsMaterial | null {
    if (this.#files.length === 0 || elapsedMs < this.#nextLookMs) return null;
    this.#nextLookMs = elapsedMs + INTERVAL_MS;
    const stamps = this.#currentStamps();
    if (stamps === this.#stamps) return null;
    const problems: string[] = [];
    const read = this.#files.map((files) =>
      this.#read(files, (rule) => problems.push(`${files.certPath}: ${rule}`))
    );
    if (problems.length > 0) {
      this.#report(problems.join("; "));
      return null;
    }
    this.#stamps = stamps;
    this.#reported = "";
    this.#take(read);
    this.#metrics.add(METRICS.tlsReloads, 1, "ok");
    log.info("certificates were renewed", { expires: new Date(this.#expiresAtMs).toISOString() });
    return this.#material;
  }

  /** Brings the metric of the first expiry up to date. */
  observe(nowMs: number): void {
    if (this.#material) this.#metrics.set(METRICS.tlsExpiry, Math.floor((this.#expiresAtMs - nowMs) / 1000));
  }

  #take(read: readonly (ReadCertificate | null)[]): void {
    const [first, ...rest] = read.filter((one) => one !== null);
    if (!first) return;
    this.#material = [first.one, ...rest.map(({ one }) => one)];
    this.#expiresAtMs = Math.min(first.expiresAtMs, ...rest.map(({ expiresAtMs }) => expiresAtMs));
  }

  #read({ certPath, keyPath }: CertificateFiles, onProblem: (rule: string) => void): ReadCertificate | null {
    try {
      const one: TlsCertificate = {
        certificate: this.#reader.read(certPath),
        key: this.#reader.read(keyPath),
      };
      return { one, expiresAtMs: readCertificate(one).expiresAtMs };
    } catch (error) {
      // Errors of the file system name the file; none of them holds what is in it.
      onProblem(
        error instanceof TlsMaterialError ? error.message : `cannot be read: ${(error as Error).message}`,
      );
      return null;
    }
  }

  #currentStamps(): string {
    return this.#files.flatMap(({ certPath, keyPath }) => [certPath, keyPath]).map((path) => {
      try {
        return this.#reader.stamp(path);
      } catch {
        return "missing";
      }
    }).join(" ");
  }

  #report(problems: string): void {
    if (problems === this.#reported) return;
    this.#reported = problems;
    this.#metrics.add(METRICS.tlsReloads, 1, "error");
    log.error("renewed certificates cannot be used, those before stay in use: {problems}", { problems });
  }

  #problem({ certPath, configKey }: CertificateFiles, rule: string): Problem {
    const origin = this.#loaded.effective.find(({ key }) => key.key === configKey)!.origin;
    return { origin, key: configKey, rule, received: JSON.stringify(certPath) };
  }
}

interface ReadCertificate {
  readonly one: TlsCertificate;
  readonly expiresAtMs: number;
}

function filesOf({ config: { relay, listener } }: LoadedConfig): CertificateFiles[] {
  const { tlsPort, tlsCertPath: certPath, tlsKeyPath: keyPath } = relay;
  if (tlsPort === null || certPath === null || keyPath === null) return [];
  return [
    { certPath, keyPath, configKey: "relay.tls_cert_path" },
    ...listener.tlsCertificates.map(({ cert, key }) => ({
      certPath: cert,
      keyPath: key,
      configKey: "listener.tls_certificates",
    })),
  ];
}
