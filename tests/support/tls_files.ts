/** Certificates made for a test, by openssl: a root of their own, any number of hosts. */
import { join } from "node:path";

/** Makes certificates that one root has signed. */
export class TestAuthority {
  private constructor(readonly folder: string, readonly root: string) {}

  /** A new root, in a folder of the caller's. */
  static async create(folder: string): Promise<TestAuthority> {
    await openssl(folder, [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ...["-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=test root"],
    ]);
    return new TestAuthority(folder, await Deno.readTextFile(join(folder, "root.pem")));
  }

  /**
   * A certificate with `commonName` for some hosts; written as `NAME.pem` and `NAME.key`.
   *
   * @param days how long it is good from now on; -1 for one that has expired
   */
  async issue(
    name: string,
    commonName: string,
    hosts: readonly string[],
    days = 1,
  ): Promise<{ certificate: string; key: string }> {
    const { folder } = this;
    const names = [...hosts.map((host) => `DNS:${host}`), "IP:127.0.0.1"].join(",");
    await Deno.writeTextFile(
      join(folder, "extensions"),
      `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`,
    );
    await openssl(folder, [
      ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", `${name}.key`, "-out", "request", "-subj", `/CN=${commonName}`],
    ]);
    await openssl(folder, [
      ...["x509", "-req", "-in", "request", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial"],
      ...["-out", `${name}.pem`, "-days", `${days}`, "-extfile", "extensions"],
    ]);
    return {
      certificate: await Deno.readTextFile(join(folder, `${name}.pem`)),
      key: await Deno.readTextFile(join(folder, `${name}.key`)),
    };
  }
}

/** Common name of the certificate a server shows to a client that asks for `host`. */
export async function shownCertificate(
  port: number,
  host: string | null,
  ...options: string[]
): Promise<string> {
  const name = host === null ? ["-noservername"] : ["-servername", host];
  const args = ["s_client", "-connect", `127.0.0.1:${port}`, ...name, ...options];
  const { stdout, stderr } = await new Deno.Command("openssl", {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  })
    .output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return /^subject=(?:.*\bCN ?= ?)([^,\n]+)/m.exec(text)?.[1] ?? `none: ${text.slice(0, 200)}`;
}

async function openssl(folder: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args,
    cwd: folder,
    stdout: "null",
    stderr: "piped",
  })
    .output();
  if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}
