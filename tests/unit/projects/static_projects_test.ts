import { assertEquals, assertStringIncludes } from "@std/assert";
import { describeProblem } from "../../../src/config/config_error.ts";
import { processSources } from "../../../src/config/config_sources.ts";
import { readStaticProjects, reloadedStates } from "../../../src/projects/static_projects.ts";

const KEY = "a".repeat(32);
const GOOD = JSON.stringify({ publicKeys: [{ publicKey: KEY }] });

async function inFolder(
  files: Record<string, string>,
  body: (folder: string) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const read = (folder: string) => readStaticProjects(folder, processSources());

Deno.test("readStaticProjects: the project id is the file's name (section 4)", () =>
  inFolder({ "42.json": GOOD, "notes.txt": "x", ".hidden.json": "{" }, (folder) => {
    const { files, problems } = read(folder);
    assertEquals(problems, []);
    assertEquals([...files.keys()], ["42.json"]);
    assertEquals(files.get("42.json")?.[0]?.[1].projectId, "42");
  }));

Deno.test("readStaticProjects: a folder that does not exist holds no projects", () => {
  assertEquals(read("/does/not/exist").files.size, 0);
});

/** Text of a file, and what its problem says after the place. */
const BAD: readonly (readonly [string, string, RegExp])[] = [
  ["1.json", '{\n  "publicKeys": {}\n}', /1\.json:2:17: publicKeys: .*expected array.*; received \{\}$/],
  [
    "1.json",
    '{\n "publicKeys": [\n  {"publicKey": "short"}]}',
    /1\.json:3:17: publicKeys\.0\.publicKey: a public key has 32/,
  ],
  ["1.json", "{ not json", /1\.json:1:\d+: /],
  ["name.json", GOOD, /name\.json:1:1: the file must be named after its project id/],
];

for (const [name, text, message] of BAD) {
  Deno.test(`readStaticProjects: ${JSON.stringify(text)} in ${name} is a problem with its place`, () =>
    inFolder({ [name]: text, "2.json": GOOD }, (folder) => {
      const { files, problems } = read(folder);
      assertEquals([...files.keys()], ["2.json"]);
      assertEquals(message.test(describeProblem(problems[0]!)), true, describeProblem(problems[0]!));
    }));
}

Deno.test("reloadedStates: a file that broke keeps its states, one that is gone does not", () =>
  inFolder({ "1.json": GOOD, "2.json": GOOD }, async (folder) => {
    const before = read(folder).files;
    await Deno.writeTextFile(`${folder}/1.json`, "{ broken");
    await Deno.remove(`${folder}/2.json`);
    const after = read(folder);
    assertStringIncludes(describeProblem(after.problems[0]!), "1.json");
    assertEquals([...reloadedStates(before, after).keys()], ["1.json"]);
  }));
