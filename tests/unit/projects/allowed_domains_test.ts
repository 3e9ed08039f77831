import { assertEquals } from "@std/assert";
import { isOriginAllowed } from "../../../src/projects/allowed_domains.ts";

/** Rows of ingestion reference section 5.4: origin, allowed domains, verdict. */
const ROWS: readonly (readonly [string | null, readonly string[], boolean])[] = [
  [null, [], true],
  [null, ["example.com"], true],
  ["http://example.com/", [], false],
  ["http://example.com/", ["*"], true],
  ["http://example.com/", ["*:*"], true],
  ["http://example.com/", ["*://*"], true],
  ["http://example.com/", ["example.com"], true],
  ["http://Example.COM/", ["eXample.com"], true],
  ["http://sub.example.com/", ["example.com"], false],
  ["http://sub.example.com/", ["*.example.com"], true],
  ["http://a.b.example.com/", ["*.example.com"], true],
  ["http://example.com/", ["*.example.com"], true],
  ["http://notexample.com/", ["*.example.com"], false],
  ["https://example.com/", ["http://example.com"], false],
  ["https://example.com/", ["https://example.com"], true],
  ["https://example.com/", ["*://example.com"], true],
  ["http://example.com:8080/", ["example.com"], true],
  ["http://example.com:8080/", ["example.com:8080"], true],
  ["http://example.com:8080/", ["example.com:*"], true],
  ["http://example.com:8081/", ["example.com:8080"], false],
  ["http://example.com/", ["example.com:80"], false],
  ["http://example.com/", ["example.com/some/path"], true],
  ["http://[::1]:3000/", ["[::1]:3000"], true],
  ["http://[::1]:3000/", ["[::1]"], true],
  ["http://127.0.0.1/", ["localhost", "127.0.0.1"], true],
];

for (const [origin, domains, verdict] of ROWS) {
  Deno.test(`isOriginAllowed: ${origin} against [${domains}] is ${verdict} (section 5.4)`, () => {
    assertEquals(isOriginAllowed(origin, domains), verdict);
  });
}
