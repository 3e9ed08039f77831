import { assertEquals, assertThrows } from "@std/assert";
import { DsnError, formatDsn, parseDsn } from "../../../src/protocol/dsn.ts";
import { newEventId, parseEventId } from "../../../src/protocol/event_id.ts";

const KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";

Deno.test("parseDsn: reads scheme, key, host, port and project; secret and prefix are ignored", () => {
  assertEquals(parseDsn(`https://${KEY}@o1.ingest.sentry.io/42`), {
    scheme: "https",
    key: KEY,
    host: "o1.ingest.sentry.io",
    port: null,
    projectId: "42",
  });
  assertEquals(parseDsn(`http://${KEY}:secret@[::1]:9000/a/b/42/`), {
    scheme: "http",
    key: KEY,
    host: "[::1]",
    port: 9000,
    projectId: "42",
  });
});

Deno.test("parseDsn: a default port is no port", () =>
  assertEquals(parseDsn(`https://${KEY}@h:443/1`).port, null));

for (
  const [text, message] of [
    ["random string", "no valid url provided"],
    [`https://${KEY}@:8888/42`, "no valid url provided"],
    ["https://h/42", "username is empty"],
    ["https://abc@h/42", "username is empty"],
    [`https://${KEY}@h/`, "empty path"],
    [`https://${KEY}@h//`, "empty path"],
    [`https://${KEY}@h/abc`, "invalid project id"],
    [`ftp://${KEY}@h/42`, "no valid scheme"],
  ] as const
) {
  Deno.test(`parseDsn: ${text} has ${message}`, () => {
    assertThrows(() => parseDsn(text), DsnError, message);
  });
}

Deno.test("formatDsn: writes what parseDsn reads, the way Relay does", () => {
  const text = `https://${KEY}:@sentry.example.com:8443/42`;
  assertEquals(formatDsn(parseDsn(text)), text);
  assertEquals(
    formatDsn({ scheme: "http", key: KEY, host: "h", port: null, projectId: null }),
    `http://${KEY}:@h/0`,
  );
});

Deno.test("parseEventId: takes UUIDs with and without dashes in any case, and nothing else", () => {
  const id = "9ec79c33ec9942ab8353589fcb2e04dc";
  assertEquals(parseEventId(id.toUpperCase()), id);
  assertEquals(parseEventId("9ec79c33-ec99-42ab-8353-589fcb2e04dc"), id);
  for (
    const text of [
      "",
      id.slice(1),
      `${id}0`,
      "9ec79c33-ec9942ab-8353-589fcb2e04dc",
      `{${id}}`,
      id.replace("9", "g"),
    ]
  ) {
    assertEquals(parseEventId(text), null);
  }
});

Deno.test("newEventId: makes ids that parseEventId takes, each another", () => {
  const [first, second] = [newEventId(), newEventId()];
  assertEquals(parseEventId(first), first);
  assertEquals(first === second, false);
});
