import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/config/config_error.ts";
import { loadConfig } from "../../../src/config/load_config.ts";
import type { Credentials } from "../../../src/config/schema/credentials.ts";
import { fakeSources } from "../../support/fake_sources.ts";

// Test vector of control reference, section 3.
const SECRET = "OvXFVm1tIUi8xDTuyHX1SSqdMc8nCt2qU9IUaH5p7oU";
const PUBLIC = "JOaR2bHZ31zYjFojC7UhPOidzfT3qOQgT9WEBw1JAKU";
const ID = "cde0d72e-0c4e-4550-a934-c1867d8a177c";
const STORED = JSON.stringify({ secret_key: SECRET, public_key: PUBLIC, id: ID }, null, 2);

function credentials(stored: string | null, env: Record<string, string> = {}): Credentials | null {
  const files = stored === null ? {} : { ".landfall/credentials.json": stored };
  return loadConfig({ sources: fakeSources({ files, env }) }).credentials;
}

function problems(stored: string | null, env: Record<string, string> = {}): string[] {
  return assertThrows(() => credentials(stored, env), ConfigError).message.split("\n").slice(1);
}

Deno.test("credentials: read from credentials.json", () => {
  assertEquals(credentials(STORED), { id: ID, publicKey: PUBLIC, secretKey: SECRET });
});

Deno.test("credentials: none at all is fine", () => {
  assertEquals(credentials(null), null);
});

Deno.test("credentials: any part may be replaced from the environment", () => {
  const other = "00000000-0000-4000-8000-000000000000";
  assertEquals(credentials(STORED, { RELAY_ID: other })?.id, other);
});

Deno.test("credentials: without a file the environment has to bring all three parts", () => {
  const env = { RELAY_ID: ID, RELAY_PUBLIC_KEY: PUBLIC, RELAY_SECRET_KEY: SECRET };
  assertEquals(credentials(null, env), { id: ID, publicKey: PUBLIC, secretKey: SECRET });
  assertEquals(problems(null, { RELAY_ID: ID }), [
    "RELAY_ID: credentials: incomplete: public_key and secret_key missing",
  ]);
});

Deno.test("credentials: a secret is never shown, and errors carry the place in the JSON", () => {
  const text = `{\n  "id": "${ID}",\n  "public_key": "${PUBLIC}",\n  "secret_key": "hush"\n}`;
  assertEquals(problems(text), [
    ".landfall/credentials.json:4:17: credentials.secret_key: must be base64url without padding, 43 or 86 characters long; " +
    "received [redacted]",
  ]);
});

Deno.test("credentials: a misspelt key names the nearest one", () => {
  assertEquals(problems(STORED.replace("{", '{"ids": 1,')), [
    ".landfall/credentials.json:1:2: credentials.ids: unknown key (did you mean id?)",
  ]);
});

Deno.test("credentials: keys that do not belong together are refused before an upstream would refuse them", () => {
  const other = "o2dySG5yjwmqANHMUbBpJZHaS2cR3BoS3gIoVXBpaUU";
  assertEquals(problems(STORED, { RELAY_PUBLIC_KEY: other }), [
    "RELAY_PUBLIC_KEY: credentials.public_key: does not belong to the secret key",
  ]);
  const doubled = "A".repeat(86);
  assertEquals(problems(STORED, { RELAY_SECRET_KEY: doubled }), [
    "RELAY_SECRET_KEY: credentials.secret_key: holds a public half that does not belong to the secret one",
  ]);
});
