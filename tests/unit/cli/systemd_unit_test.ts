import { assert, assertEquals, assertMatch } from "@std/assert";
import { runFakeCli } from "../../support/fake_system.ts";
import { report } from "../../support/report.ts";

const HAS_SYSTEMD = await Deno.stat("/usr/bin/systemd-analyze").then(() => true, () => false);
if (!HAS_SYSTEMD) report("systemd's own judgement of the unit is not asked: there is no systemd-analyze");

async function unit(config?: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const { out, code } = config === undefined
    ? await runFakeCli(["print", "systemd"])
    : await runFakeCli(["print", "systemd", "-c", "/etc/pop"], { files: { "/etc/pop/config.yml": config } });
  assertEquals(code, 0);
  const values = new Map<string, string[]>();
  for (const line of out.split("\n")) {
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) values.set(name, [...values.get(name) ?? [], value!]);
  }
  return values;
}

Deno.test("print systemd: without a configuration the unit is for the usual places and holds no capability", async () => {
  const values = await unit();
  assertEquals(values.get("Type"), ["notify"]);
  assertEquals(values.get("ExecStart"), ["/usr/local/bin/landfall run -c /etc/landfall"]);
  assertEquals(values.get("TimeoutStopSec"), ["40"]);
  assertEquals(values.get("CapabilityBoundingSet"), [""]);
  assertEquals(values.get("ReadWritePaths"), undefined);
});

Deno.test("print systemd: times, folder, spool and low ports follow the configuration", async () => {
  const values = await unit(`
relay: { mode: proxy, port: 80 }
listener: { drain_delay: 15s }
limits: { shutdown_timeout: 20 }
spool: { envelopes: { path: /srv/spool } }
`);
  assertEquals(values.get("ExecReload"), ["/usr/local/bin/landfall config reload -c /etc/pop"]);
  assertEquals(values.get("TimeoutStopSec"), ["65"]);
  assertEquals(values.get("AmbientCapabilities"), ["CAP_NET_BIND_SERVICE"]);
  assertEquals(values.get("PrivateUsers"), ["no"]);
  assertEquals(values.get("ReadWritePaths"), ["/srv/spool"]);
});

Deno.test("print systemd: a configuration that is wrong is named, with code 78", async () => {
  const { code, err } = await runFakeCli(["print", "systemd", "-c", "/etc/pop"], {
    files: { "/etc/pop/config.yml": "relay: { port: many }" },
  });
  assertEquals(code, 78);
  assertMatch(err, /relay\.port/);
});

Deno.test({
  name: "print systemd: systemd understands every line and calls the exposure low",
  ignore: !HAS_SYSTEMD,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
    try {
      const { out } = await runFakeCli(["print", "systemd"]);
      const path = `${folder}/landfall.service`;
      // Not installed here; whether the executable exists is all that is not asked.
      await Deno.writeTextFile(path, out.replaceAll("/usr/local/bin/landfall", "/bin/true"));
      assertEquals(await analyze("verify", "--recursive-errors=no", "--man=no", path), [0, ""]);
      const [code, judgement] = await analyze("security", "--offline=yes", "--threshold=25", path);
      assert(code === 0, judgement);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function analyze(...args: string[]): Promise<[code: number, text: string]> {
  const command = new Deno.Command("/usr/bin/systemd-analyze", { args, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  return [code, new TextDecoder().decode(args[0] === "verify" ? stderr : stdout)];
}
