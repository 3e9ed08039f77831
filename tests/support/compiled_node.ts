/**
 * The executable that `deno task compile` makes, built once per state of the source tree.
 *
 * `deno compile` needs a runtime called denort, which it downloads from Deno's site. Tests look for one in this order:
 * 1. `DENORT_BIN` with `DENO_FOR_COMPILE`, the deno of the same version;
 * 2. a program that prints those two lines: `LANDFALL_DENORT_TOOL`, or `../shared/tools/denort` beside the project;
 * 3. the download.
 * Where none of them works, tests of the executable are skipped and say why.
 */
import { join } from "node:path";
import { compileArguments, PROJECT_ROOT } from "./project_tasks.ts";
import { cached, exists, sha256 } from "./test_cache.ts";

/** The executable, or the reason why there is none. */
export type CompiledNode =
  | { readonly kind: "built"; readonly path: string; readonly builtWith: string }
  | { readonly kind: "unavailable"; readonly why: string };

interface Compiler {
  readonly deno: string;
  readonly env: Readonly<Record<string, string>>;
}

let built: Promise<CompiledNode> | undefined;

/** Builds the executable, or finds the one an earlier run built from the same sources. */
export function compiledNode(): Promise<CompiledNode> {
  return built ??= build();
}

async function build(): Promise<CompiledNode> {
  const compiler = await findCompiler();
  if (typeof compiler === "string") return { kind: "unavailable", why: compiler };
  const version = await output(compiler.deno, ["--version"]);
  const hash = sha256(version, await sourceHash()).slice(0, 16);
  try {
    const folder = await cached(`executable-${hash}`, async (part) => {
      await output(compiler.deno, compileArguments(join(part, "landfall")), compiler.env);
    });
    return { kind: "built", path: join(folder, "landfall"), builtWith: version.split("\n")[0]! };
  } catch (error) {
    // A compiler that was found and fails is a fault of the sources, unless all it lacked was the download.
    if (compiler.env.DENORT_BIN) throw error;
    return { kind: "unavailable", why: `deno compile cannot get its runtime: ${(error as Error).message}` };
  }
}

async function findCompiler(): Promise<Compiler | string> {
  const named = { bin: Deno.env.get("DENORT_BIN"), deno: Deno.env.get("DENO_FOR_COMPILE") };
  if (named.bin && named.deno) return { deno: named.deno, env: { DENORT_BIN: named.bin } };
  const tool = Deno.env.get("LANDFALL_DENORT_TOOL") ?? join(PROJECT_ROOT, "../shared/tools/denort");
  if (await exists(tool)) {
    const lines = await output(tool, []).catch(() => "");
    const value = (name: string) => new RegExp(`^${name}=(.+)$`, "m").exec(lines)?.[1];
    const [bin, deno] = [value("DENORT_BIN"), value("DENO_FOR_COMPILE")];
    if (bin && deno) return { deno, env: { DENORT_BIN: bin } };
  }
  const reachable = await fetch("https://dl.deno.land/", {
    method: "HEAD",
    signal: AbortSignal.timeout(5_000),
  })
    .then((answer) => answer.body?.cancel().then(() => true) ?? true, () => false);
  if (reachable) return { deno: Deno.execPath(), env: {} };
  return "no denort here (DENORT_BIN, LANDFALL_DENORT_TOOL) and dl.deno.land cannot be reached";
}

/** Hash of everything that goes into the executable. */
async function sourceHash(): Promise<string> {
  const paths = ["main.ts", "deno.json", "deno.lock"];
  for await (const path of walk("src")) paths.push(path);
  const parts: (Uint8Array | string)[] = [];
  for (const path of paths.toSorted()) parts.push(path, await Deno.readFile(join(PROJECT_ROOT, path)));
  return sha256(...parts);
}

async function* walk(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(join(PROJECT_ROOT, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}

async function output(command: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    env,
    cwd: PROJECT_ROOT,
    stdin: "null",
  }).output();
  if (!success) throw new Error(`${command} ${args[0] ?? ""}: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}
