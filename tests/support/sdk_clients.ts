/**
 * Real Sentry clients, installed once per lock file into a cache outside the source tree and run by Node.
 *
 * Why Node: `npx` is what starts the tests on a bare machine, so Node is always there, and it is what these clients
 * are made for.
 */
import { cached, sha256 } from "./test_cache.ts";

const HERE = new URL("sdk/", import.meta.url);

/** One client to run: its name in test output, its program and arguments. */
export interface SdkClient {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** Installed clients. */
export interface SdkClients {
  /** Where they are installed. */
  readonly folder: string;
  /** Clients that send envelopes without arguments, all to the DSN in their environment. */
  readonly clients: readonly SdkClient[];
  /** OpenTelemetry exporters; these send no envelopes. */
  readonly otel: SdkClient;
  /** Runs one to its end. @returns its output. @throws Error when it fails. */
  run(client: SdkClient, dsn: string): Promise<string>;
}

/** Installs the clients unless an earlier run did. */
export async function installSdkClients(): Promise<SdkClients> {
  const folder = await install();
  const script = (name: string): SdkClient => ({ name, command: "node", args: [`${name}.mjs`] });
  const cli = cliBinary(folder);
  const tool = (name: string, ...args: string[]): SdkClient => ({ name, command: cli, args });
  return {
    folder,
    otel: script("otel"),
    clients: [
      script("node_11"),
      script("node_profiling"),
      script("node_7"),
      script("browser"),
      tool("cli send-event", "send-event", "--no-environ", "-m", "from the command line", "-t", "shell:bash"),
      tool("cli send-envelope", "send-envelope", "--raw", "stored.envelope"),
      tool("cli monitors", "monitors", "run", "nightly", "--", "true"),
    ],
    run: ({ command, args }, dsn) =>
      runIn(folder, command, args, { SENTRY_DSN: dsn, SENTRY_DISABLE_UPDATE_CHECK: "1", CI: "true" }),
  };
}

async function install(): Promise<string> {
  const lock = await Deno.readFile(new URL("package-lock.json", HERE));
  const folder = await cached(`sdk-${sha256(lock).slice(0, 16)}`, async (part) => {
    for (const name of ["package.json", "package-lock.json"]) {
      await Deno.copyFile(new URL(name, HERE), `${part}/${name}`);
    }
    await runIn(part, "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  });
  for await (const { name } of Deno.readDir(new URL("clients/", HERE))) {
    await Deno.copyFile(new URL(`clients/${name}`, HERE), `${folder}/${name}`);
  }
  return folder;
}

async function runIn(
  cwd: string,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd,
    env,
    stdin: "null",
  })
    .output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (code !== 0) throw new Error(`${command} ${args[0] ?? ""} ended with exit code ${code}: ${output}`);
  return output;
}

function cliBinary(folder: string): string {
  const os = Deno.build.os === "windows" ? "win32" : Deno.build.os;
  const arch = Deno.build.arch === "x86_64" ? "x64" : "arm64";
  const name = os === "darwin" ? "cli-darwin" : `cli-${os}-${arch}`;
  return `${folder}/node_modules/@sentry/${name}/bin/sentry-cli`;
}
