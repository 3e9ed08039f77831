import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/config/config_error.ts";
import { type ConfigDocument, readDocument } from "../../../src/config/config_document.ts";
import { documentProblems } from "../../../src/config/validate.ts";
import { describeProblem } from "../../../src/config/config_error.ts";
import { fakeSources } from "../../support/fake_sources.ts";
import { z } from "zod";

function read(text: string, env: Record<string, string> = {}): ConfigDocument {
  return readDocument("f.yml", fakeSources({ files: { "f.yml": text }, env }))!;
}

function place(document: ConfigDocument, path: readonly PropertyKey[], at?: "key" | "value"): string {
  const { line, column } = document.locate(path, at);
  return `${line}:${column}`;
}

Deno.test("readDocument: a missing file is null", () => {
  assertEquals(readDocument("f.yml", fakeSources()), null);
});

Deno.test("readDocument: an empty file has the value null", () => {
  assertEquals(read("").value, null);
  assertEquals(read("# nothing\n").value, null);
  assertEquals(place(read(""), ["a", "b"]), "1:1");
});

Deno.test("locate: values, keys, list elements, and the nearest existing part", () => {
  const document = read("a:\n  b: 1\n  c:\n    - x\n    - { d: 2 }\ne:\n");
  assertEquals(place(document, ["a", "b"]), "2:6");
  assertEquals(place(document, ["a", "b"], "key"), "2:3");
  assertEquals(place(document, ["a", "c", 1, "d"]), "5:12");
  assertEquals(place(document, ["a", "c", 0]), "4:7");
  assertEquals(place(document, ["a", "zzz"]), "2:3");
  assertEquals(place(document, ["a", "b", "deeper"]), "2:6");
  assertEquals(place(document, []), "1:1");
});

Deno.test("locate: through an alias to the place of its anchor", () => {
  const document = read("base: &b\n  x: 1\nother: *b\n");
  assertEquals(document.value, { base: { x: 1 }, other: { x: 1 } });
  assertEquals(place(document, ["other", "x"]), "2:6");
});

Deno.test("readDocument: JSON with tabs, escapes and line breaks of Windows", () => {
  const json = JSON.stringify({ a: [1, { b: "x\u2028\ud83d\ude00/" }], "c d": null }, null, "\t").replaceAll(
    "\n",
    "\r\n",
  );
  const document = read(json);
  assertEquals(document.value, JSON.parse(json));
  assertEquals(place(document, ["a", 1, "b"]), "5:9");
});

Deno.test("readDocument: a syntax error carries its place", () => {
  const error = assertThrows(() => read("a: 1\nb: [1,\n"), ConfigError);
  assertEquals(error.problems[0]?.origin.kind, "file");
  assertEquals(error.message.split("\n")[1]?.startsWith("f.yml:3:1: "), true, error.message);
});

Deno.test("readDocument: what cannot be read says why", () => {
  const sources = {
    ...fakeSources(),
    readText: () => {
      throw new Deno.errors.PermissionDenied("no");
    },
  };
  assertThrows(() => readDocument("f.yml", sources), ConfigError, "f.yml:1:1: cannot be read: no");
});

Deno.test("readDocument: aliases cannot blow a small file up", () => {
  const lines = ["a0: &a0 [x]"];
  for (let i = 1; i < 12; i++) lines.push(`a${i}: &a${i} [${Array(9).fill(`*a${i - 1}`).join(",")}]`);
  assertThrows(() => read(lines.join("\n")), ConfigError, "alias");
});

const SUBSTITUTIONS: readonly (readonly [yaml: string, value: unknown])[] = [
  ["v: ${N}", 12],
  ["v: '${N}'", "12"],
  ['v: "${N}"', "12"],
  ["v: a${N}b", "a12b"],
  ["v: ${T}", true],
  ["v: ${E}", null],
  ["v: ${ZEROS}", "007"],
  ["v: ${YAML}", "a: [1, 2]\nb: c"],
  ["v: ${LOOP}", "${LOOP}"],
  ["v: $N {N} $", "$N {N} $"],
  ["${N}: 1", undefined],
];

Deno.test("readDocument: substitution in scalars only, once, and plain scalars are read anew", () => {
  const env = { N: "12", T: "true", E: "", ZEROS: "007", YAML: "a: [1, 2]\nb: c", LOOP: "${LOOP}" };
  for (const [yaml, value] of SUBSTITUTIONS) {
    assertEquals((read(yaml, env).value as Record<string, unknown>).v, value, yaml);
  }
});

Deno.test("readDocument: every reference that leads nowhere is reported at its place", () => {
  const error = assertThrows(() => read("a: ${X}\nb: [1, '${file:y}']\nc: ${1-}\n"), ConfigError);
  assertEquals(error.problems.map(describeProblem), [
    "f.yml:1:4: environment variable X is not set",
    "f.yml:2:8: file ./y does not exist",
    "f.yml:3:4: ${1-} is neither ${NAME} nor ${file:path}",
  ]);
});

Deno.test("documentProblems: what another schema finds gets its place in the file", () => {
  const document = read('{"publicKeys": [\n  {"publicKey": 5}\n]}');
  const schema = z.object({ publicKeys: z.array(z.object({ publicKey: z.string() })) });
  const result = schema.safeParse(document.value);
  assertEquals(documentProblems(result.error!, document).map(describeProblem), [
    "f.yml:2:17: publicKeys.0.publicKey: Invalid input: expected string, received number; received 5",
  ]);
});
