import { assertEquals } from "@std/assert";
import { RequestError } from "../../../src/protocol/request_error.ts";

Deno.test("RequestError: section 5.2, JSON bodies leave out causes when there are none", () => {
  const bare = RequestError.json(400, "empty_body", "empty request body");
  assertEquals([bare.toBody(), bare.contentType], ['{"detail":"empty request body"}', "application/json"]);
  const caused = RequestError.json(400, "invalid_envelope", "invalid event envelope", ["a", 'b "c"']);
  assertEquals(caused.toBody(), '{"detail":"invalid event envelope","causes":["a","b \\"c\\""]}');
  assertEquals(caused.message, "invalid event envelope");
});

Deno.test("RequestError: section 5.2, text and empty bodies", () => {
  const text = RequestError.text(413, "too_large", "length limit exceeded");
  assertEquals([text.toBody(), text.contentType], ["length limit exceeded", "text/plain; charset=utf-8"]);
  const empty = RequestError.empty(415, "content_type", { "Accept-Encoding": "gzip" });
  assertEquals([empty.toBody(), empty.contentType, empty.headers], [null, null, {
    "Accept-Encoding": "gzip",
  }]);
});
