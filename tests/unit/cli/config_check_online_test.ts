/** `config check --online` against upstreams, folders and ports that are there, and others that are not. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CHECK_MS_MAX, runChecks } from "../../../src/cli/online_check.ts";
import { generateCredentials, renderCredentials } from "../../../src/config/credentials_file.ts";
import { diskStorage } from "../../../src/spool/disk_storage.ts";
import { type CliRun, runFakeCli } from "../../support/fake_system.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { ScriptedSentry } from "../../support/scripted_sentry.ts";
import { ScriptedUpstream } from "../../support/scripted_upstream.ts";

interface Checked extends CliRun {
  readonly folder: string;
  /** Name of a check to its result. */
  readonly results: Readonly<Record<string, string>>;
}

/** Checks a configuration with a folder of its own; ports are free ones unless given. */
async function check(
  relay: Readonly<Record<string, unknown>>,
  o: { more?: Readonly<Record<string, unknown>>; files?: Readonly<Record<string, string>> } = {},
): Promise<Checked> {
  const folder = await Deno.makeTempDir();
  const config = {
    relay: { mode: "proxy", host: "127.0.0.1", port: 0, ...relay },
    admin: { port: 0 },
    spool: { envelopes: { path: `${folder}/a/spool`, max_disk_size: "16MiB" } },
    ...o.more,
  };
  try {
    const run = await runFakeCli(["config", "check", "--online", "-c", "dir"], {
      files: { "dir/config.yml": JSON.stringify(config), ...o.files },
      storage: diskStorage,
    });
    assertEquals([...Deno.readDirSync(folder)], [], "nothing is left behind");
    const rows = run.out.split("\n").map((line) => line.split(/ {2,}/)).filter((row) => row.length >= 2);
    return { ...run, folder, results: Object.fromEntries(rows.map(([result, name]) => [name!, result!])) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const hostOf = (url: string): string => new URL(url).host;

Deno.test("config check --online: an upstream that answers, room and free ports are fine", async () => {
  await using upstream = ScriptedUpstream.start();
  const { code, out, results } = await check({ upstream: upstream.url });
  const at = hostOf(upstream.url);
  assertEquals(results, {
    "default: name 127.0.0.1": "ok",
    [`default: connection ${at}`]: "ok",
    [`default: sign of life ${at}`]: "ok",
    "spool: writable": "ok",
    "spool: space": "ok",
    "relay.port: free": "ok",
    "admin.port: free": "ok",
  });
  assertEquals(code, 0);
  assertStringIncludes(out, "\nOK: dir\n");
});

Deno.test("config check --online: a managed node is challenged, and not registered", async () => {
  await using sentry = ScriptedSentry.start();
  const credentials = generateCredentials();
  const files = { "dir/credentials.json": renderCredentials(credentials) };
  const name = `default: identity ${hostOf(sentry.url)}`;
  const known = await check({ mode: "managed", upstream: sentry.url }, { files });
  assertEquals([known.code, known.results[name]], [0, "ok"]);
  assertEquals([sentry.calls.map(({ route }) => route), sentry.relays.size], [["challenge"], 0]);

  sentry.banned.add(credentials.id);
  const banned = await check({ mode: "managed", upstream: sentry.url }, { files });
  assertEquals([banned.code, banned.results[name]], [1, "failed"]);
  assertStringIncludes(banned.out, "HTTP 403: banned");
  assert(!banned.out.includes("OK:"));
});

Deno.test("config check --online: what hangs on a connection that fails is skipped", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  taken.close();
  const { code, results, out } = await check({ upstream: `http://127.0.0.1:${port}` });
  assertEquals(code, 1);
  assertEquals(results[`default: connection 127.0.0.1:${port}`], "failed");
  assertEquals(results[`default: sign of life 127.0.0.1:${port}`], "skipped");
  assertStringIncludes(out, "Connection refused");
});

Deno.test("config check --online: each endpoint is looked at, and a bad gateway is no sign of life", async () => {
  await using good = ScriptedUpstream.start();
  const bad = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("", { status: 502 }),
  );
  try {
    const endpoints = [{ address: hostOf(good.url) }, { address: `127.0.0.1:${bad.addr.port}` }];
    const { code, results } = await check({ upstream: "http://sentry.example" }, {
      more: { upstreams: { default: { endpoints } } },
    });
    assertEquals(code, 1);
    assertEquals(results[`default: sign of life ${hostOf(good.url)}`], "ok");
    assertEquals(results[`default: sign of life 127.0.0.1:${bad.addr.port}`], "failed");
  } finally {
    await bad.shutdown();
  }
});

Deno.test("config check --online: a port that others have is named, that of a running node is not", async () => {
  await using upstream = ScriptedUpstream.start();
  const stranger = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("", { status: 404 }),
  );
  const node = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    return new Response("", { status: pathname === "/api/relay/healthcheck/live/" ? 200 : 404 });
  });
  try {
    const own = await check({ upstream: upstream.url, port: node.addr.port });
    assertEquals([own.code, own.results["relay.port: free"]], [0, "ok"]);
    assertStringIncludes(own.out, "is taken by a node that runs");
    const others = await check({ upstream: upstream.url, port: stranger.addr.port });
    assertEquals([others.code, others.results["relay.port: free"]], [1, "failed"]);
    assertStringIncludes(others.out, `127.0.0.1:${stranger.addr.port} is in use`);
  } finally {
    await Promise.all([stranger.shutdown(), node.shutdown()]);
  }
});

Deno.test("config check --online: a spool that cannot be written, and one without room", async () => {
  await using upstream = ScriptedUpstream.start();
  const file = await Deno.makeTempFile();
  try {
    const blocked = await check({ upstream: upstream.url }, {
      more: { spool: { envelopes: { path: `${file}/spool` } } },
    });
    assertEquals(blocked.code, 1);
    assertEquals(blocked.results["spool: writable"], "failed");
    assertEquals(blocked.results["spool: space"], "skipped");
  } finally {
    await Deno.remove(file);
  }
  const full = await check({ upstream: upstream.url }, {
    more: { spool: { envelopes: { path: "/tmp/landfall-none/spool", max_disk_size: "1000000GiB" } } },
  });
  assertEquals([full.code, full.results["spool: space"]], [1, "failed"]);
  assertStringIncludes(full.out, "less than spool.envelopes.max_disk_size");
});

Deno.test("config check --online: a wrong file is refused before anything is asked", async () => {
  await using upstream = ScriptedUpstream.start();
  const { code, out } = await check({ upstream: upstream.url, prot: 1 });
  assertEquals([code, out], [78, ""]);
});

Deno.test("runChecks: a check that never ends is given up in time", async () => {
  const clock = new ManualClock();
  let given = false;
  const name = "stuck";
  const results = runChecks([{
    name,
    run: (signal) => {
      signal.addEventListener("abort", () => given = true);
      return new Promise(() => {});
    },
  }], clock);
  await clock.advance(CHECK_MS_MAX);
  assertEquals(await results, [{ name, result: "failed", detail: "nothing within 5 s" }]);
  assert(given);
});
