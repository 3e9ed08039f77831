import { assertEquals } from "@std/assert";
import { staticRelays } from "../../../src/config/static_relays.ts";

const ID = "cde0d72e-0c4e-4550-a934-c1867d8a177c";
const KEY = "JOaR2bHZ31zYjFojC7UhPOidzfT3qOQgT9WEBw1JAKU";

Deno.test("auth.static_relays: ids to keys, internal or not", () => {
  assertEquals(staticRelays.read({}), []);
  assertEquals(staticRelays.read({ [ID.toUpperCase()]: { public_key: KEY } }), [
    { id: ID, publicKey: KEY, internal: false },
  ]);
  assertEquals(staticRelays.read({ [ID]: { public_key: KEY, internal: true } })?.[0]?.internal, true);
  assertEquals(staticRelays.read({ [ID.replaceAll("-", "")]: { public_key: KEY } })?.[0]?.id, ID);
});

for (
  const bad of [
    null,
    [],
    { [ID]: null },
    { [ID]: {} },
    { [ID]: { public_key: "short" } },
    { [ID]: { public_key: KEY, intern: true } },
    { [ID]: { public_key: KEY, internal: "yes" } },
    { relay: { public_key: KEY } },
  ]
) {
  Deno.test(`auth.static_relays: ${JSON.stringify(bad)} is refused`, () =>
    assertEquals(staticRelays.read(bad), undefined));
}
