import { assertEquals } from "@std/assert";
import { FakeRequest } from "../../support/fake_request.ts";

const TARGETS: readonly [string, string, string][] = [
  ["/api/42/store/", "/api/42/store/", ""],
  ["/api/42/store/?a=b&c=/d//e", "/api/42/store/", "a=b&c=/d//e"],
  ["//api///42//store//?x//y", "/api/42/store/", "x//y"],
  ["http://host/api/42/?a", "/api/42/", "a"],
  ["https://host:8080//api", "/api", ""],
  ["http://host?a=/b", "/", "a=/b"],
  ["http://host", "/", ""],
  ["/a?b?c", "/a", "b?c"],
  ["*", "*", ""],
  ["", "/", ""],
];

Deno.test("IncomingRequest splits its target and folds slashes as section 1.1 says", () => {
  for (const [target, path, query] of TARGETS) {
    const request = new FakeRequest({}, [], target);
    assertEquals([request.path, request.query], [path, query], target);
  }
});
