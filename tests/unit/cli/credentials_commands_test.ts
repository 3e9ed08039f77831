import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SecretKey } from "../../../src/protocol/signature.ts";
import { runFakeCli } from "../../support/fake_system.ts";

// Test vector of control reference, section 3.
const SECRET = "OvXFVm1tIUi8xDTuyHX1SSqdMc8nCt2qU9IUaH5p7oU";
const PUBLIC = "JOaR2bHZ31zYjFojC7UhPOidzfT3qOQgT9WEBw1JAKU";
const ID = "cde0d72e-0c4e-4550-a934-c1867d8a177c";
const FILE = ".landfall/credentials.json";
const files = { [FILE]: JSON.stringify({ secret_key: SECRET, public_key: PUBLIC, id: ID }) };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function identityIn(text: string) {
  const { id, public_key, secret_key } = JSON.parse(text);
  assert(UUID.test(id));
  assertEquals(SecretKey.parse(secret_key).publicKey.text, public_key);
  return { id, public_key, secret_key };
}

Deno.test("credentials generate: writes a new identity and tells its public half", async () => {
  const { code, out, written } = await runFakeCli(["credentials", "generate"]);
  const { id, public_key, secret_key } = identityIn(written[FILE]!);
  assertEquals([code, out], [0, `Wrote ${FILE}\nid:         ${id}\npublic key: ${public_key}\n`]);
  assert(!out.includes(secret_key));
});

Deno.test("credentials generate: leaves an identity alone that is there, unless told to overwrite it", async () => {
  const refused = await runFakeCli(["credentials", "generate"], { files });
  assertEquals([refused.code, refused.written], [1, {}]);
  assertStringIncludes(refused.err, `${FILE} exists already and was left alone`);
  const forced = await runFakeCli(["credentials", "generate", "--overwrite"], { files });
  assertEquals(forced.code, 0);
  assert(identityIn(forced.written[FILE]!).public_key !== PUBLIC);
});

Deno.test("credentials generate --stdout: writes nothing", async () => {
  const { code, out, written } = await runFakeCli(["credentials", "generate", "--stdout"], { files });
  assertEquals([code, written], [0, {}]);
  identityIn(out);
});

Deno.test("credentials show: file and environment, without the secret key", async () => {
  const { code, out } = await runFakeCli(["credentials", "show"], { files });
  assertEquals([code, out], [0, `id:         ${ID}\npublic key: ${PUBLIC}\n`]);
  const other = "00000000-0000-4000-8000-000000000000";
  assertStringIncludes(
    (await runFakeCli(["credentials", "show"], { files, env: { RELAY_ID: other } })).out,
    other,
  );
  const none = await runFakeCli(["credentials", "show"]);
  assertEquals([none.code, none.err], [1, `landfall: there is no ${FILE}\n`]);
  const broken = await runFakeCli(["credentials", "show"], { files: { [FILE]: "{}" } });
  assertEquals(broken.code, 78);
});

Deno.test("credentials set: from flags, the public key follows from the secret one", async () => {
  const args = ["credentials", "set", "--secret-key", SECRET, "--id", ID];
  const { code, written } = await runFakeCli(args, { files });
  assertEquals([code, identityIn(written[FILE]!)], [0, { id: ID, public_key: PUBLIC, secret_key: SECRET }]);
});

Deno.test("credentials set: asks for what is missing, and makes up an id", async () => {
  const { code, written, questions } = await runFakeCli(["credentials", "set"], {
    lines: [SECRET, "random"],
  });
  assertEquals([code, questions], [0, ["Secret key", 'Id of this node (or "random")']]);
  assertEquals(identityIn(written[FILE]!).secret_key, SECRET);
});

const wrong: [what: string, args: string[], says: string][] = [
  ["no secret key", ["--id", ID], "credentials set needs --secret-key when nobody can be asked"],
  ["a secret key that is none", ["--secret-key", "x"], "--secret-key is not a secret key of 32 or 64 bytes"],
  ["an id that is none", ["--secret-key", SECRET, "--id", "7"], '--id must be a UUID, or "random"'],
  [
    "a foreign public key",
    ["--secret-key", SECRET, "--id", ID, "--public-key", SecretKey.generate().publicKey.text],
    "--public-key does not belong to --secret-key",
  ],
];
for (const [what, args, says] of wrong) {
  Deno.test(`credentials set: ${what} changes nothing`, async () => {
    const { code, err, written } = await runFakeCli(["credentials", "set", ...args], { files });
    assertEquals([code, written], [64, {}]);
    assertStringIncludes(err, says);
    assert(!err.includes(SECRET));
  });
}

Deno.test("credentials remove: only after a yes", async () => {
  const asked = await runFakeCli(["credentials", "remove"], { files, answer: false });
  assertEquals([asked.code, asked.removed], [1, []]);
  const yes = await runFakeCli(["credentials", "remove"], { files, answer: true });
  assertEquals([yes.code, yes.removed], [0, [FILE]]);
  const flag = await runFakeCli(["credentials", "remove", "--yes"], { files });
  assertEquals([flag.code, flag.removed], [0, [FILE]]);
  const nobody = await runFakeCli(["credentials", "remove"], { files });
  assertEquals([nobody.code, nobody.removed], [64, []]);
  const none = await runFakeCli(["credentials", "remove", "--yes"]);
  assertEquals([none.code, none.err], [1, `landfall: there is no ${FILE}\n`]);
});
