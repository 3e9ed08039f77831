import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ConfigError, describeOrigin } from "../../../src/config/config_error.ts";
import type { Setting } from "../../../src/config/environment.ts";
import { loadConfig, type LoadedConfig } from "../../../src/config/load_config.ts";
import { fakeSources } from "../../support/fake_sources.ts";

type Outside = { env?: Record<string, string>; files?: Record<string, string>; settings?: Setting[] };

function load(text: string, { env = {}, files = {}, settings = [] }: Outside = {}): LoadedConfig {
  const sources = fakeSources({ files: { "/c/config.yml": text, ...files }, env });
  return loadConfig({ dir: "/c", settings, sources });
}

/** The lines of the error, without its headline. */
function problems(text: string, outside: Outside = {}): string[] {
  const error = assertThrows(() => load(text, outside), ConfigError);
  return error.message.split("\n").slice(1);
}

function originOf(loaded: LoadedConfig, key: string): string {
  return describeOrigin(loaded.effective.find((entry) => entry.key.key === key)!.origin);
}

Deno.test("loadConfig: without any file the defaults of the references apply", () => {
  const { config, configDir, credentials, warnings } = loadConfig({ sources: fakeSources() });
  assertEquals(configDir, ".landfall");
  assertEquals(credentials, null);
  assertEquals(warnings, []);
  assertEquals(config.relay.mode, "managed");
  assertEquals(config.relay.upstream, "https://sentry.io/");
  assertEquals(config.relay.host, "127.0.0.1");
  assertEquals(config.relay.port, 3000);
  assertEquals(config.relay.internalHost, null);
  assertEquals(config.http.timeout, 5000);
  assertEquals(config.http.connectionTimeout, 3000);
  assertEquals(config.http.maxRetryInterval, 60_000);
  assertEquals(config.http.outageGracePeriod, 10_000);
  assertEquals(config.http.encoding, "auto");
  assertEquals(config.spool.envelopes.path, ".landfall/spool");
  assertEquals(config.spool.envelopes.maxDiskSize, 500 * 1024 ** 2);
  assertEquals(config.spool.envelopes.maxEnvelopeDelaySecs, 86_400);
  assertEquals(config.spool.checkpointInterval, 100);
  assertEquals(config.limits.shutdownTimeout, 10_000);
  assertEquals(config.lanes, 4);
  assertEquals(config.logging, {
    level: "info",
    format: "simplified",
    levels: {},
    redactAddresses: false,
    enableBacktraces: false,
    tracesSampleRate: 0,
  });
});

Deno.test("loadConfig: limits have the defaults of ingestion reference, section 4.2", () => {
  const { limits } = loadConfig({ sources: fakeSources() }).config;
  const KIB = 1024;
  const MIB = 1024 * KIB;
  const expected = {
    maxConcurrentRequests: 100,
    maxEventSize: MIB,
    maxAttachmentSize: 200 * MIB,
    maxAttachmentCount: 30,
    maxAttachmentsSize: 200 * MIB,
    maxClientReportsSize: 100 * KIB,
    maxClientReportsCount: 100,
    maxCheckInSize: 100 * KIB,
    maxEnvelopeSize: 200 * MIB,
    maxSessionsSize: 10 * MIB,
    maxSessionCount: 100,
    maxApiPayloadSize: 20 * MIB,
    maxProfileSize: 50 * MIB,
    maxTraceMetricSize: MIB,
    maxLogSize: 2 * MIB,
    maxSpanSize: 10 * MIB,
    maxStandaloneSpanCount: 25,
    maxContainerSize: 12 * MIB,
    maxStatsdSize: MIB,
    maxMetricBucketsSize: MIB,
    maxReplayCompressedSize: 10 * MIB,
    maxReplayUncompressedSize: 100 * MIB,
    tcpListenBacklog: 1024,
  };
  for (const [name, value] of Object.entries(expected)) {
    assertEquals((limits as Record<string, unknown>)[name], value, name);
  }
});

Deno.test("loadConfig: units of sizes and durations", () => {
  const { config } = load(`
limits: { max_event_size: 1kB, max_log_size: 1KB, max_span_size: 1KiB, max_profile_size: 1MB, max_check_in_size: 7, shutdown_timeout: 2 }
http: { timeout: 250ms, retry_delay: 0.5, max_retry_interval: 3m }
listener: { drain_delay: 15 }
`);
  const { limits, http, listener } = config;
  assertEquals(
    [
      limits.maxEventSize,
      limits.maxLogSize,
      limits.maxSpanSize,
      limits.maxProfileSize,
      limits.maxCheckInSize,
    ],
    [1000, 1024, 1024, 1_000_000, 7],
  );
  assertEquals([http.timeout, http.retryDelay, http.maxRetryInterval], [250, 500, 180_000]);
  assertEquals([limits.shutdownTimeout, listener.drainDelay], [2000, 15_000]);
});

Deno.test("loadConfig: defaults give way to the file, the file to the environment, the environment to flags", () => {
  const file = "relay:\n  mode: proxy\n  port: 1\n  host: 10.0.0.1\n";
  const flag: Setting = { key: "relay.port", value: "3", origin: { kind: "flag", name: "port" } };
  const loaded = load(file, { env: { RELAY_PORT: "2", RELAY_HOST: "10.0.0.2" }, settings: [flag] });
  assertEquals(loaded.config.relay.port, 3);
  assertEquals(loaded.config.relay.host, "10.0.0.2");
  assertEquals(originOf(loaded, "relay.port"), "--port");
  assertEquals(originOf(loaded, "relay.host"), "RELAY_HOST");
  assertEquals(originOf(loaded, "relay.mode"), "/c/config.yml:2:9");
  assertEquals(originOf(loaded, "relay.upstream"), "default");
});

const VARIABLES:
  readonly (readonly [variable: string, value: string, read: (l: LoadedConfig) => unknown, is: unknown])[] = [
    ["RELAY_MODE", "static", (l) => l.config.relay.mode, "static"],
    ["RELAY_INSTANCE", "canary", (l) => l.config.relay.instance, "canary"],
    [
      "RELAY_UPSTREAM_URL",
      "http://up.example:9000",
      (l) => l.config.relay.upstream,
      "http://up.example:9000/",
    ],
    ["RELAY_HOST", "::", (l) => l.config.relay.host, "::"],
    ["RELAY_PORT", "8080", (l) => l.config.relay.port, 8080],
    ["RELAY_LOG_LEVEL", "WARN", (l) => l.config.logging.level, "warn"],
    ["RELAY_LOG_FORMAT", "json", (l) => l.config.logging.format, "json"],
    ["RELAY_SERVER_NAME", "pop1", (l) => l.config.sentry.serverName, "pop1"],
    ["RELAY_SOURCE_ID", "src", (l) => l.config.outcomes.source, "src"],
    ["SHUTDOWN_TIMEOUT", "3", (l) => l.config.limits.shutdownTimeout, 3000],
    ["LANDFALL_EXPOSURE", "load_balancer", (l) => l.config.listener.exposure, "load_balancer"],
    ["LANDFALL_LANES", "3", (l) => l.config.lanes, 3],
    ["LANDFALL_LANES", "auto", (l) => l.config.lanes, 4],
    ["LANDFALL_SPOOL_PATH", "/data/spool", (l) => l.config.spool.envelopes.path, "/data/spool"],
    ["LANDFALL_ADMIN_HOST", "0.0.0.0", (l) => l.config.admin.host, "0.0.0.0"],
    ["LANDFALL_ADMIN_PORT", "0", (l) => l.config.admin.port, 0],
  ];

Deno.test("loadConfig: environment variables of control reference, section 2", () => {
  for (const [variable, value, read, expected] of VARIABLES) {
    assertEquals(
      read(loadConfig({ sources: fakeSources({ env: { [variable]: value } }) })),
      expected,
      variable,
    );
  }
});

Deno.test("loadConfig: an empty environment variable counts as not set", () => {
  const env = Object.fromEntries(VARIABLES.map(([name]) => [name, ""]));
  assertEquals(
    loadConfig({ sources: fakeSources({ env }) }).config,
    loadConfig({ sources: fakeSources() }).config,
  );
});

Deno.test("loadConfig: RELAY_UPSTREAM_DSN gives the host alone, and RELAY_UPSTREAM_URL wins over it", () => {
  const dsn = { RELAY_UPSTREAM_DSN: "https://12345678901234567890123456789012@o1.example:8443/42" };
  assertEquals(load("", { env: dsn }).config.relay.upstream, "https://o1.example:8443/");
  const both = { ...dsn, RELAY_UPSTREAM_URL: "http://other.example/" };
  assertEquals(load("", { env: both }).config.relay.upstream, "http://other.example/");
});

Deno.test("loadConfig: SHUTDOWN_TIMEOUT that is no duration is ignored with a warning, as Relay ignores it", () => {
  const loaded = load("", { env: { SHUTDOWN_TIMEOUT: "soon" } });
  assertEquals(loaded.config.limits.shutdownTimeout, 10_000);
  assertEquals(loaded.warnings, ["SHUTDOWN_TIMEOUT is ignored: not a duration"]);
});

Deno.test("loadConfig: inside a container the default host is 0.0.0.0, on a terminal the log is pretty", () => {
  const { config } = loadConfig({ sources: fakeSources({ isContainer: true, isTerminal: true, cores: 1 }) });
  assertEquals([config.relay.host, config.logging.format, config.lanes], ["0.0.0.0", "pretty", 1]);
});

Deno.test("loadConfig: one half of the internal listener brings the other from relay.host and relay.port", () => {
  const { relay } = load("relay: { host: 10.0.0.1, port: 80, internal_port: 81 }").config;
  assertEquals([relay.internalHost, relay.internalPort], ["10.0.0.1", 81]);
  const other = load("relay: { internal_host: 10.0.0.9 }").config.relay;
  assertEquals([other.internalHost, other.internalPort], ["10.0.0.9", 3000]);
});

Deno.test("loadConfig: null stands for the default where Relay writes null, and for an empty section", () => {
  const { config } = load(
    "http:\nspool:\n  envelopes:\n    path: null\nrouting: { accept_unknown_items: null }\n",
  );
  assertEquals(config.http.timeout, 5000);
  assertEquals(config.spool.envelopes.path, "/c/spool");
  assertEquals(config.routing.acceptUnknownItems, true);
});

const WRONG: readonly (readonly [title: string, text: string, outside: Outside, lines: readonly string[]])[] =
  [
    ["a misspelt key", "http:\n  timout: 3\n", {}, [
      "/c/config.yml:2:3: http.timout: unknown key (did you mean http.timeout?)",
    ]],
    ["a misspelt section", "htpp: {}\n", {}, ["/c/config.yml:1:1: htpp: unknown key (did you mean http?)"]],
    ["a key in the wrong section", "spool:\n  max_disk_size: 1GiB\n", {}, [
      "/c/config.yml:2:3: spool.max_disk_size: unknown key (did you mean spool.envelopes.max_disk_size?)",
    ]],
    ["a misspelt choice", "relay:\n  mode: proxi", {}, [
      '/c/config.yml:2:9: relay.mode: must be one of managed, proxy, static; received "proxi" (did you mean proxy?)',
    ]],
    ["a port out of range", "relay: {port: 70000}", {}, [
      "/c/config.yml:1:15: relay.port: must be a port from 0 to 65535; received 70000",
    ]],
    ["an upstream with a path", "relay: {upstream: 'https://a.example/b'}", {}, [
      "/c/config.yml:1:19: relay.upstream: must be a URL of the form http(s)://host[:port]/, without a path; " +
      'received "https://a.example/b"',
    ]],
    ["a password in a refused URL", "relay: {upstream: 'https://me:secret@a.example/b'}", {}, [
      "/c/config.yml:1:19: relay.upstream: must be a URL of the form http(s)://host[:port]/, without a path; " +
      'received "https://[redacted]@a.example/b"',
    ]],
    ["a list where a section belongs", "limits:\n  - 1\n", {}, [
      "/c/config.yml:2:3: limits: must be a mapping of keys; received [1]",
    ]],
    ["a network that is none", "listener: {trusted_proxies: [10.0.0.0/33]}", {}, [
      "/c/config.yml:1:29: listener.trusted_proxies: must be a list of networks such as 10.0.0.0/8 or ::1; " +
      'received ["10.0.0.0/33"]',
    ]],
    ["a timeout longer than a timer can wait", "http: {timeout: 30d}", {}, [
      "/c/config.yml:1:17: http.timeout: must be a duration above 0: seconds, or a number with ms, s, m, h or d; " +
      'received "30d"',
    ]],
    ["too many lanes", "lanes: 65", {}, [
      "/c/config.yml:1:8: lanes: must be a whole number from 1 to 64, or auto; received 65",
    ]],
    ["a file that is no mapping", "- 1", {}, ["/c/config.yml:1:1: must be a mapping of sections"]],
    ["a key that stands twice", "http: {}\nhttp: {}\n", {}, ["/c/config.yml:2:1: Map keys must be unique"]],
    ["credentials in the wrong file", "credentials:\n  id: x\n", {}, [
      "/c/config.yml:1:1: credentials: unknown key; credentials are kept in credentials.json",
    ]],
    ["an unset variable", "relay:\n  port: ${PORT}\n", {}, [
      "/c/config.yml:2:9: environment variable PORT is not set",
    ]],
    ["a missing file", "relay:\n  host: ${file:host}\n", {}, [
      "/c/config.yml:2:9: file /c/host does not exist",
    ]],
    ["a variable of the environment", "", { env: { RELAY_PORT: "x" } }, [
      'RELAY_PORT: relay.port: must be a port from 0 to 65535; received "x"',
    ]],
    ["a flag", "", {
      settings: [{ key: "relay.host", value: "here", origin: { kind: "flag", name: "host" } }],
    }, [
      '--host: relay.host: must be an IP address; received "here"',
    ]],
    ["a DSN that is none", "", { env: { RELAY_UPSTREAM_DSN: "https://k@h.example/" } }, [
      "RELAY_UPSTREAM_DSN: relay.upstream: must be a DSN such as https://key@host/1: empty path; " +
      'received "https://[redacted]@h.example/"',
    ]],
  ];

for (const [title, text, outside, lines] of WRONG) {
  Deno.test(`loadConfig: ${title} is an error that names place, key, rule and value`, () => {
    assertEquals(problems(text, outside), [...lines]);
  });
}

Deno.test("loadConfig: everything that is wrong is reported at once, files first and in their order", () => {
  const text = "relay:\n  port: x\nhttp:\n  nope: 1\n  timeout: never\n";
  const lines = problems(text, { env: { RELAY_HOST: "x", RELAY_ID: "x" } });
  assertEquals(lines.map((line) => line.split(" ")[0]), [
    "/c/config.yml:2:9:",
    "/c/config.yml:4:3:",
    "/c/config.yml:5:12:",
    "RELAY_HOST:",
    "RELAY_ID:",
  ]);
});

Deno.test("loadConfig: a config.yml that is missing is an error only when its folder was named", () => {
  const error = assertThrows(() => loadConfig({ dir: "/none", sources: fakeSources() }), ConfigError);
  assertStringIncludes(error.message, "/none/config.yml:1:1: does not exist");
  assertEquals(loadConfig({ sources: fakeSources() }).config.relay.port, 3000);
});

Deno.test("loadConfig: a Relay's options without effect give one warning that names them all", () => {
  const { warnings } = load(`
relay: { mode: proxy, instance: canary }
processing: { enabled: true, kafka_config: [{ name: bootstrap.servers, value: x }] }
spool: { envelopes: { partitions: 4, flush_timeout_secs: 18446744073709551615 } }
cache: { event_expiry: 60 }
`);
  assertEquals(warnings, [
    "These options are accepted but have no effect: relay.instance, " +
    "spool.envelopes.flush_timeout_secs, spool.envelopes.partitions, cache.event_expiry, processing",
  ]);
});

Deno.test("loadConfig: RELAY_PROCESSING_ENABLED is named in the warning, unless it says no", () => {
  assertEquals(load("", { env: { RELAY_PROCESSING_ENABLED: "true" } }).warnings, [
    "These options are accepted but have no effect: processing",
  ]);
  assertEquals(load("", { env: { RELAY_PROCESSING_ENABLED: "false" } }).warnings, []);
});

Deno.test("loadConfig: a substituted value may be a number, part of a text, or a file's content", () => {
  const text =
    'relay:\n  port: ${PORT}\n  upstream: "${SCHEME}://${HOST}:${PORT}"\n  host: ${file:sub/host}\n' +
    "http:\n  host_header: '${file:/abs}'\n";
  const { config } = load(text, {
    env: { PORT: "8080", SCHEME: "https", HOST: "h.example" },
    files: { "/c/sub/host": "10.1.2.3\n", "/abs": "name.example" },
  });
  assertEquals(config.relay.port, 8080);
  assertEquals(config.relay.upstream, "https://h.example:8080/");
  assertEquals(config.relay.host, "10.1.2.3");
  assertEquals(config.http.hostHeader, "name.example");
});

Deno.test("loadConfig: quoting a substituted number changes nothing where a number is meant", () => {
  assertEquals(load('relay: { port: "${P}" }', { env: { P: "81" } }).config.relay.port, 81);
  assertEquals(load("admin: { enabled: '${B}' }", { env: { B: "false" } }).config.admin.enabled, false);
});

Deno.test("loadConfig: the result is plain data that can be posted to a worker", () => {
  const { config } = load("relay: { mode: proxy }");
  assertEquals(structuredClone(config), config);
  assert(Object.keys(config).length > 0);
});

Deno.test("loadConfig: listener.tunnel takes hosts and projects in the forms DSNs have", () => {
  const text =
    "listener: {tunnel: {path: /t/x.y, allowed_hosts: ['*.A.example', '[::1]'], project_ids: [1, '007']}}";
  assertEquals(load(text).config.listener.tunnel, {
    path: "/t/x.y",
    allowedHosts: ["*.a.example", "[::1]"],
    projectIds: ["1", "7"],
  });
  assertEquals(load("").config.listener.tunnel, { path: null, allowedHosts: [], projectIds: [] });
  const wrong = ["path: t", "path: /api/1/envelope/", "path: /a//b", "path: '/:x'", "path: '/*'"]
    .concat([
      "allowed_hosts: [https://a.example]",
      "allowed_hosts: [a.example:443]",
      "allowed_hosts: ['a.*']",
    ])
    .concat(["allowed_hosts: a.example", "project_ids: [x]", "project_ids: [-1]"]);
  for (const setting of wrong) {
    assertEquals(problems(`listener: {tunnel: {${setting}}}`).length > 0, true, setting);
  }
});
