/** What can be known about the image without an engine that builds it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load_config.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { PROJECT_ROOT } from "../support/project_tasks.ts";

interface Stage {
  readonly image: string;
  readonly name: string | null;
  readonly steps: readonly (readonly [word: string, rest: string])[];
}

const read = (path: string): string => Deno.readTextFileSync(join(PROJECT_ROOT, path));

function stagesOf(text: string): Stage[] {
  const lines = text.replace(/^\s*#.*\n/gm, "").replace(/\\\n\s*/g, "").split("\n").filter((line) =>
    line !== ""
  );
  const stages: { image: string; name: string | null; steps: [string, string][] }[] = [];
  for (const line of lines) {
    const [, word, rest] = /^([A-Z]+)\s+(.*)$/.exec(line)!;
    if (word === "FROM") {
      const [, image, name] = /^(\S+)(?: AS (\S+))?$/.exec(rest!)!;
      stages.push({ image: image!, name: name ?? null, steps: [] });
    } else stages.at(-1)!.steps.push([word!, rest!]);
  }
  return stages;
}

const [build, final, ...more] = stagesOf(read("Dockerfile"));
const all = ({ steps }: Stage, word: string): string[] =>
  steps.filter(([it]) => it === word).map(([, rest]) => rest);

Deno.test("Dockerfile: two stages, images of a version for every platform, the deno the project runs on", () => {
  assertEquals(more, []);
  const used = /npx -y deno@([\d.]+)/.exec(read(".ci/run"))![1];
  assertEquals([build!.image, build!.name], [`denoland/deno:${used}`, "build"]);
  assertMatch(final!.image, /^gcr\.io\/distroless\/cc-debian\d+:nonroot$/);
});

Deno.test("Dockerfile: what is copied exists, .dockerignore lets it in, and it is all that compiling needs", () => {
  const copied = all(build!, "COPY").flatMap((rest) => rest.split(" ").slice(0, -1));
  const admitted = read(".dockerignore").split("\n").filter((line) => line.startsWith("!")).map((line) =>
    line.slice(1)
  );
  assertEquals(read(".dockerignore").split("\n")[0], "*");
  assertEquals(copied.toSorted(), admitted.toSorted());
  for (const path of copied) assert(Deno.statSync(join(PROJECT_ROOT, path)), path);
  const { tasks, compilerOptions: { types } } = JSON.parse(read("deno.json"));
  for (const path of types) assert(copied.includes(path.replace("./", "")), path);
  const [run] = all(build!, "RUN");
  assert(run!.startsWith("deno task compile"));
  const output = /--output (\S+)/.exec(tasks.compile.command)![1];
  const binary = all(final!, "COPY").find((rest) => rest.startsWith("--from=build /build/dist/"))!;
  assertEquals(binary, `--from=build ${all(build!, "WORKDIR")[0]}/${output} /usr/local/bin/landfall`);
});

Deno.test("Dockerfile: no root, the spool on the volume, a health check the program has, its port, its signal", () => {
  assert(final!.image.endsWith(":nonroot"));
  assert(!all(final!, "USER").includes("root"));
  const env = Object.fromEntries(
    all(final!, "ENV").flatMap((rest) =>
      rest.split(/\s+/).map((pair) => pair.split("=") as [string, string])
    ),
  );
  const { config, warnings } = loadConfig({ sources: fakeSources({ env }) });
  assertEquals(warnings, []);
  const [volume] = JSON.parse(all(final!, "VOLUME")[0]!);
  assert(config.spool.envelopes.path.startsWith(`${volume}/`));
  assert(all(final!, "COPY").some((rest) => rest.includes("--chown=nonroot") && rest.endsWith(` ${volume}`)));
  assertEquals(config.relay.host, "0.0.0.0");
  assertEquals(all(final!, "EXPOSE"), [String(config.relay.port)]);
  assertEquals(all(final!, "STOPSIGNAL"), ["SIGTERM"]);
  const [check] = all(final!, "HEALTHCHECK");
  const words = JSON.parse(/CMD (\[.*\])$/.exec(check!)![1]!);
  assertEquals(words, [...JSON.parse(all(final!, "ENTRYPOINT")[0]!), "healthcheck", "--mode", "ready"]);
  assertEquals(JSON.parse(all(final!, "CMD")[0]!), ["run"]);
});
