/** Globs with Sentry's syntax: control reference, section 7. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { compileGlob, compileGlobs } from "../../../src/core/glob.ts";

const ROWS: readonly (readonly [pattern: string, matching: readonly string[], other: readonly string[]])[] = [
  ["", [""], ["a"]],
  ["abc", ["abc", "ABC"], ["ab", "abcd", "xabc"]],
  ["*", ["", "anything\nat all"], []],
  ["a*", ["a", "abc"], ["ba"]],
  ["*a", ["a", "cba"], ["ab"]],
  ["*a*", ["a", "xay"], ["xy"]],
  ["a*c", ["ac", "abc", "abcbc"], ["abcb", "xabc"]],
  ["a**c", ["ac", "abc"], ["a"]],
  ["a?c", ["abc", "a😀c"], ["ac", "abbc"]],
  ["[a-c]x", ["ax", "cx", "BX"], ["dx", "x"]],
  ["[!a-c]x", ["dx"], ["ax", "x"]],
  ["[^a]", ["b"], ["a"]],
  ["[]]", ["]"], ["["]],
  ["[a-]", ["a", "-"], ["b"]],
  ["[abc", ["[abc"], ["a"]],
  ["{foo,bar}*", ["foo", "barn"], ["xfoo"]],
  ["a{b,}c", ["abc", "ac"], ["abbc"]],
  ["{a,{b,c}d}", ["a", "bd", "cd"], ["ad", "b"]],
  ["{a", ["{a"], ["a"]],
  ["a,b}", ["a,b}"], ["a"]],
  ["\\*", ["*"], ["a"]],
  ["\\{a,b\\}", ["{a,b}"], ["a"]],
  ["{a\\,b,c}", ["a,b", "c"], ["a"]],
  ["a\\", ["a\\"], ["a"]],
  ["1.*", ["1.0"], ["1x0"]],
  ["TypeError: *undefined*", ["typeerror: x is undefined here"], ["Error: undefined"]],
];

for (const [pattern, matching, other] of ROWS) {
  Deno.test(`glob ${JSON.stringify(pattern)}: section 7`, () => {
    const glob = compileGlob(pattern);
    for (const text of matching) assertEquals([text, glob(text)], [text, true]);
    for (const text of other) assertEquals([text, glob(text)], [text, false]);
  });
}

Deno.test("a glob minds the case when it is told to", () => {
  assertEquals(compileGlob("Ab[c]", { ignoreCase: false })("ABC"), false);
  assertEquals(compileGlob("Ab[c]", { ignoreCase: false })("Abc"), true);
  assertEquals(compileGlobs(["a", "b*"])("BX"), true);
  assertEquals(compileGlobs([])(""), false);
});

Deno.test("globs agree with regular expressions for stars, question marks and letters", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 });
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 10 });
  fc.assert(fc.property(letters, text, (pattern, text) => {
    const source = pattern.replaceAll("*", ".*").replaceAll("?", ".");
    assertEquals(compileGlob(pattern)(text), new RegExp(`^${source}$`).test(text));
  }));
});

Deno.test("the time of a glob grows with the text, not with how badly it fits", () => {
  const glob = compileGlob(`${"*a".repeat(30)}b`);
  assertEquals(glob("a".repeat(5000)), false);
  assertEquals(compileGlob("{a,b}".repeat(3000))("a"), false);
});
