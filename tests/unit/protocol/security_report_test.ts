import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromUtf8, utf8 } from "../../../src/core/bytes.ts";
import { RequestError } from "../../../src/protocol/request_error.ts";
import { securityReports } from "../../../src/protocol/security_report.ts";

const violation = { type: "csp-violation" };

Deno.test("securityReports: section 1.3, a single report is passed on without a look", () => {
  for (const text of ["{}", '{"type":"deprecation"}', "no JSON", " {}"]) {
    const { payloads, unsupported } = securityReports(utf8(text));
    assertEquals([payloads.map(fromUtf8), unsupported], [[text], 0]);
  }
});

Deno.test("securityReports: section 1.3, every violation of a batch comes out, in its own bytes", () => {
  const report = fc.tuple(
    fc.constantFrom("csp-violation", "deprecation", "crash", 7),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
  fc.assert(fc.property(fc.array(report, { maxLength: 20 }), space, (reports, between) => {
    const texts = reports.map(([type, body]) => JSON.stringify({ body, type }));
    const batch = `${between}[${between}${texts.join(`${between},${between}`)}${between}]${between}`;
    const { payloads, unsupported, surplus } = securityReports(utf8(batch));
    const expected = texts.filter((_, index) => reports[index]![0] === violation.type);
    assertEquals(payloads.map(fromUtf8), expected);
    assertEquals([unsupported, surplus], [texts.length - expected.length, 0]);
  }));
});

Deno.test("securityReports: nothing but RequestError comes out, whatever goes in", () => {
  const mutated = fc.tuple(fc.nat(), fc.string({ unit: "binary", maxLength: 3 })).map(([at, text]) => {
    const batch = JSON.stringify([violation, { ...violation, body: [1] }]);
    const from = at % batch.length;
    return batch.slice(0, from) + text + batch.slice(from + text.length);
  });
  fc.assert(fc.property(fc.oneof(mutated, fc.string()), (text) => {
    try {
      const { payloads } = securityReports(utf8(text));
      assert(payloads.length <= 2);
    } catch (error) {
      assert(error instanceof RequestError && error.status === 400);
    }
  }));
});
