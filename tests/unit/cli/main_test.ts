import { assertEquals, assertStringIncludes } from "@std/assert";
import { VERSION } from "../../../src/core/version.ts";

const ROOT = new URL("../../../", import.meta.url);

/** Runs the program from source in an environment that holds only what is given: no HOME, no PATH. */
async function runMain(args: readonly string[], env: Record<string, string> = {}) {
  const cwd = await Deno.makeTempDir();
  try {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--allow-all", new URL("main.ts", ROOT).href, ...args],
      clearEnv: true,
      env: { ...cacheDir(), ...env },
      cwd,
    }).output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).replaceAll(cwd, "CWD");
    return { code, out: decode(stdout), err: decode(stderr) };
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

/** Where the runtime keeps its modules; without HOME it would look, and download, elsewhere. */
function cacheDir(): Record<string, string> {
  const dir = Deno.env.get("DENO_DIR") ??
    `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/deno`;
  return { DENO_DIR: dir };
}

Deno.test("main.ts: prints its version in an environment without HOME and PATH", async () => {
  assertEquals(await runMain(["--version"]), { code: 0, out: `landfall ${VERSION}\n`, err: "" });
});

Deno.test("main.ts: reads flags and RELAY_* variables and exits with 78 when they are wrong", async () => {
  const { code, out, err } = await runMain(["run", "--mode", "proxy", "--port", "x"], { RELAY_HOST: "y" });
  assertEquals([code, out], [78, ""]);
  assertEquals(
    err,
    "landfall: 2 errors in the configuration\n" +
      'RELAY_HOST: relay.host: must be an IP address; received "y"\n' +
      '--port: relay.port: must be a port from 0 to 65535; received "x"\n',
  );
});

Deno.test("main.ts: config init writes a file for its owner alone that config check accepts", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const init = await runMain(["config", "init", "-c", `${dir}/new`]);
    assertEquals(init, { code: 0, out: `Wrote ${dir}/new/config.yml\n`, err: "" });
    assertEquals((await Deno.stat(`${dir}/new/config.yml`)).mode! & 0o777, 0o600);
    assertEquals((await runMain(["-c", `${dir}/new`, "config", "check"])).code, 0);
    const again = await runMain(["config", "init", "-c", `${dir}/new`]);
    assertEquals(again.code, 1);
    assertStringIncludes(again.err, "exists already");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
