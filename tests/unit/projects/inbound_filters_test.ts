/** Inbound filters, rows for every filter: control reference, section 7. */
import { assertEquals } from "@std/assert";
import { genericFilters } from "../../../src/projects/filters/generic_filters.ts";
import { filterSettingsDocument } from "../../../src/projects/filters/filter_settings.ts";
import type { FilterSubject } from "../../../src/projects/filters/filter.ts";
import { InboundFilters } from "../../../src/projects/filters/inbound_filters.ts";
import { browserOf } from "../../../src/projects/filters/legacy_browsers.ts";

type Row = readonly [what: string, settings: object, subject: Partial<FilterSubject>, reason: string | null];

const event = (event: object, more: Partial<FilterSubject> = {}): Partial<FilterSubject> => ({
  ...more,
  event: event as Record<string, unknown>,
});
const agent = (userAgent: string) => event({ request: { headers: { "User-Agent": userAgent } } });
const thrown = (...values: object[]) => event({ exception: { values } });
const from = (...paths: string[]) =>
  thrown({ value: "x", stacktrace: { frames: paths.map((abs_path) => ({ abs_path })) } });
const page = (request: object) => event({ request });

const on = { isEnabled: true };
const EXTENSIONS = { browserExtensions: on };
const IPS = { clientIps: { blacklistedIps: ["10.0.0.0/8", "bogus", "2001:db8::1"] } };
const CSP = { csp: { disallowedSources: ["evil.test", "*.ads.test", "https://only.test:8443"] } };
const ERRORS = { errorMessages: { patterns: ["*Undefined*", "KeyError: 'x'", "OnlyType"] } };
const IGNORE = { ignoreTransactions: { patterns: ["/health*"], isEnabled: true } };
const LOCAL = { localhost: on };
const RELEASES = { releases: { releases: ["1.*", "app@[ab]"] } };
const CRAWLERS = { webCrawlers: on };

const ROWS: readonly Row[] = [
  [
    "browserExtensions by value",
    EXTENSIONS,
    thrown({ value: "Can't find variable: ZiteReader" }),
    "browser-extensions",
  ],
  ["browserExtensions, any case", EXTENSIONS, thrown({ value: "TOP.globals" }), "browser-extensions"],
  [
    "browserExtensions by source",
    EXTENSIONS,
    from("https://x.test/a.js", "chrome-extension://abc/b.js"),
    "browser-extensions",
  ],
  [
    "browserExtensions, last frame with a place",
    EXTENSIONS,
    from("moz-extension://a", "<anonymous>", "[native code]"),
    "browser-extensions",
  ],
  ["browserExtensions, other frame", EXTENSIONS, from("chrome-extension://a", "https://x.test/a.js"), null],
  [
    "browserExtensions, first exception only",
    EXTENSIONS,
    thrown({ value: "x" }, { value: "top.GLOBALS" }),
    null,
  ],
  ["browserExtensions, scheme must lead", EXTENSIONS, from("https://x.test/chrome-extension://"), null],
  [
    "browserExtensions off",
    { browserExtensions: { isEnabled: false } },
    thrown({ value: "top.GLOBALS" }),
    null,
  ],
  ["clientIps, network", IPS, { clientAddress: "10.9.9.9" }, "ip-address"],
  ["clientIps, address", IPS, { clientAddress: "2001:db8::1" }, "ip-address"],
  ["clientIps, other", IPS, { clientAddress: "11.0.0.1" }, null],
  ["clientIps is not the user's address", IPS, event({ user: { ip_address: "10.9.9.9" } }), null],
  ["clientIps for what is not read", IPS, { clientAddress: "10.9.9.9", kind: "request" }, "ip-address"],
  [
    "csp, blocked uri",
    CSP,
    event({ "csp-report": { "blocked-uri": "https://evil.test/x.js" } }),
    "invalid-csp",
  ],
  [
    "csp, source file, subdomain",
    CSP,
    event({ "csp-report": { "source-file": "http://a.ads.test/" } }),
    "invalid-csp",
  ],
  [
    "csp, Reporting API",
    CSP,
    event({ type: "csp-violation", body: { blockedURL: "https://evil.test/" } }),
    "invalid-csp",
  ],
  ["csp, port", CSP, event({ "csp-report": { "blocked-uri": "https://only.test/" } }), null],
  ["csp, other", CSP, event({ "csp-report": { "blocked-uri": "https://good.test/" } }), null],
  ["csp without report", CSP, event({}), null],
  [
    "csp, an event made of a report",
    CSP,
    event({ type: "csp", csp: { blocked_uri: "http://evil.test" } }),
    "invalid-csp",
  ],
  [
    "csp, source file of such an event",
    CSP,
    event({ csp: { source_file: "http://evil.test/a" } }),
    "invalid-csp",
  ],
  [
    "csp, source file of the Reporting API",
    CSP,
    event({ body: { sourceFile: "http://evil.test/" } }),
    "invalid-csp",
  ],
  [
    "csp, the domain itself of a wildcard",
    CSP,
    event({ csp: { blocked_uri: "http://ads.test" } }),
    "invalid-csp",
  ],
  ["csp, scheme and port", CSP, event({ csp: { blocked_uri: "https://only.test:8443/x" } }), "invalid-csp"],
  ["csp, another scheme", CSP, event({ csp: { blocked_uri: "http://only.test:8443/x" } }), null],
  ["csp, any case", CSP, event({ csp: { blocked_uri: "http://EVIL.test" } }), "invalid-csp"],
  [
    "csp, everything",
    { csp: { disallowedSources: ["*"] } },
    event({ csp: { blocked_uri: "self" } }),
    "invalid-csp",
  ],
  ["clientIps, mapped address", IPS, { clientAddress: "::ffff:10.0.0.1" }, "ip-address"],
  ["clientIps, no address", IPS, { clientAddress: "" }, null],
  ["clientIps for sessions", IPS, { clientAddress: "10.9.9.9", kind: "session" }, "ip-address"],
  ["errorMessages, text", ERRORS, event({ message: "it is undefined here" }), "error-message"],
  [
    "errorMessages, logentry.formatted",
    ERRORS,
    event({ logentry: { message: "x", formatted: "undefined" } }),
    "error-message",
  ],
  [
    "errorMessages, formatted wins over message",
    ERRORS,
    event({ logentry: { message: "undefined", formatted: "x" } }),
    null,
  ],
  ["errorMessages, message alone", ERRORS, event({ logentry: { message: "undefined" } }), "error-message"],
  [
    "errorMessages, any exception",
    ERRORS,
    thrown({ type: "A", value: "b" }, { type: "KeyError", value: "'x'" }),
    "error-message",
  ],
  ["errorMessages, only a type", ERRORS, thrown({ type: "OnlyType", value: "" }), "error-message"],
  [
    "errorMessages, only a value",
    { errorMessages: { patterns: ["only*"] } },
    thrown({ value: "only this" }),
    "error-message",
  ],
  [
    "errorMessages, any case, alternatives",
    { errorMessages: { patterns: ["{timeout,ABORT}*"] } },
    event({
      message: "aborted",
    }),
    "error-message",
  ],
  [
    "errorMessages, the whole text",
    { errorMessages: { patterns: ["undefined"] } },
    event({
      message: "undefined x",
    }),
    null,
  ],
  ["errorMessages, no message", { errorMessages: { patterns: ["*"] } }, event({}), null],
  ["errorMessages, type and value", ERRORS, thrown({ type: "OnlyType", value: "v" }), null],
  [
    "ignoreTransactions",
    IGNORE,
    event({ type: "transaction", transaction: "/healthz" }),
    "filtered-transaction",
  ],
  ["ignoreTransactions, other", IGNORE, event({ type: "transaction", transaction: "/api" }), null],
  [
    "ignoreTransactions without a name",
    { ignoreTransactions: { ...on, patterns: ["*"] } },
    event({
      type: "transaction",
    }),
    null,
  ],
  [
    "ignoreTransactions, any case",
    IGNORE,
    event({ type: "transaction", transaction: "/HEALTH" }),
    "filtered-transaction",
  ],
  ["ignoreTransactions, an error there", IGNORE, event({ transaction: "/healthz" }), null],
  [
    "ignoreTransactions off",
    { ignoreTransactions: { patterns: ["*"] } },
    event({ type: "transaction", transaction: "/" }),
    null,
  ],
  ["localhost, user", LOCAL, event({ user: { ip_address: "127.0.0.1" } }), "localhost"],
  ["localhost, user ::1", LOCAL, event({ user: { ip_address: "::1" } }), "localhost"],
  [
    "localhost, auto",
    LOCAL,
    event({ user: { ip_address: "{{auto}}" } }, { clientAddress: "::1" }),
    "localhost",
  ],
  ["localhost, file", LOCAL, page({ url: "file:///a/b.html" }), "localhost"],
  ["localhost, host", LOCAL, page({ url: "http://localhost:8080/" }), "localhost"],
  ["localhost, subdomain", LOCAL, page({ url: "http://shop.localhost/" }), "localhost"],
  ["localhost, 127.0.0.1", LOCAL, page({ url: "http://127.0.0.1/" }), "localhost"],
  ["localhost, another address of this machine", LOCAL, page({ url: "http://127.0.0.2/" }), null],
  ["localhost, ends like it", LOCAL, page({ url: "http://localhost.example.com/" }), null],
  ["localhost, a URL that is none", LOCAL, page({ url: "localhost", headers: { Host: "localhost" } }), null],
  ["localhost, auto from elsewhere", LOCAL, event({ user: { ip_address: "{{auto}}" } }), null],
  ["localhost, REMOTE_ADDR", LOCAL, page({ env: { REMOTE_ADDR: "127.0.0.1" } }), "localhost"],
  ["localhost, X-Forwarded-For ::1", LOCAL, page({ headers: { "X-Forwarded-For": "::1" } }), "localhost"],
  ["localhost, Host begins like it", LOCAL, page({ headers: { Host: "localhost.example.com" } }), null],
  ["localhost, subdomain in Host", LOCAL, page({ headers: { Host: "a.localhost" } }), null],
  ["localhost off", { localhost: { isEnabled: false } }, page({ url: "http://localhost/" }), null],
  ["localhost, other", LOCAL, page({ url: "http://notlocalhost/" }), null],
  ["localhost, X-Forwarded-For", LOCAL, page({ headers: [["X-Forwarded-For", "127.0.0.1"]] }), "localhost"],
  [
    "localhost, X-Forwarded-For chain",
    LOCAL,
    page({ headers: [["X-Forwarded-For", "127.0.0.1, 10.0.0.1"]] }),
    null,
  ],
  ["localhost, Host without URL", LOCAL, page({ headers: { Host: "localhost:3000" } }), "localhost"],
  [
    "localhost, X-Forwarded-Host without URL",
    LOCAL,
    page({ headers: { "x-forwarded-host": "127.0.0.1" } }),
    "localhost",
  ],
  [
    "localhost, Host beside URL",
    LOCAL,
    page({ url: "https://x.test/", headers: { Host: "localhost" } }),
    null,
  ],
  ["releases", RELEASES, event({ release: "1.2.3" }), "release-version"],
  ["releases, class, any case", RELEASES, event({ release: "APP@B" }), "release-version"],
  ["releases, other", RELEASES, event({ release: "2.0" }), null],
  ["releases, none", RELEASES, event({}), null],
  ["releases, the whole text", { releases: { releases: ["1"] } }, event({ release: "1.0" }), null],
  ["releases, of the trace when the event is not held", RELEASES, {
    trace: { traceId: "a".repeat(32), publicKey: "b".repeat(32), release: "1.0" } as FilterSubject["trace"],
  }, "release-version"],
  ["releases without an entry", { releases: { releases: [] } }, event({ release: "1.0" }), null],
  ["webCrawlers off", { webCrawlers: { isEnabled: false } }, agent("Googlebot"), null],
  ["webCrawlers, no agent", CRAWLERS, event({}), null],
  ["webCrawlers, spider", CRAWLERS, agent("web-spider; x"), "web-crawlers"],
  ["webCrawlers, spider within a word", CRAWLERS, agent("spiderman"), null],
  ["webCrawlers, ChatGPT-User exempt", CRAWLERS, agent("ChatGPT-User/1.0; +https://openai.com/bot"), null],
  ["webCrawlers, Slackbot 2.0", CRAWLERS, agent("Slackbot 2.0"), "web-crawlers"],
  [
    "webCrawlers, the request's agent for an event without",
    CRAWLERS,
    { ...event({}), userAgent: "GPTBot" },
    "web-crawlers",
  ],
  ["webCrawlers", CRAWLERS, agent("Mozilla/5.0 (compatible; Googlebot/2.1; +http://x)"), "web-crawlers"],
  ["webCrawlers, bot at the end", CRAWLERS, agent("some bot"), "web-crawlers"],
  ["webCrawlers, bot within a word", CRAWLERS, agent("robotics 1.0"), null],
  ["webCrawlers, Slack", CRAWLERS, agent("Slack-ImgProxy (+https://api.slack.com)"), "web-crawlers"],
  ["webCrawlers, Slackbot 1.0 exempt", CRAWLERS, agent("Slackbot 1.0(+https://api.slack.com/robots)"), null],
  ["webCrawlers, SentryUptimeBot exempt", CRAWLERS, agent("SentryUptimeBot/1.0 (+http://x)"), null],
  ["webCrawlers, browser", CRAWLERS, agent("Mozilla/5.0 (X11; Linux x86_64) Firefox/120.0"), null],
  [
    "webCrawlers, request without event",
    CRAWLERS,
    { kind: "request", userAgent: "GPTBot/1.2" },
    "web-crawlers",
  ],
  ["webCrawlers, the event's agent wins", CRAWLERS, { ...agent("Firefox"), userAgent: "GPTBot" }, null],
  ["nothing", {}, event({ message: "x" }), null],
];

const subjectOf = (subject: Partial<FilterSubject>): FilterSubject => ({
  kind: "event",
  event: null,
  trace: null,
  part: null,
  clientAddress: "203.0.113.7",
  userAgent: null,
  ...subject,
});
const filters = (settings: object) => new InboundFilters(filterSettingsDocument.parse(settings), null);

for (const [what, settings, subject, reason] of ROWS) {
  Deno.test(`filter ${what}`, () => assertEquals(filters(settings).match(subjectOf(subject)), reason));
}

/** As the reference lists them; each as it may stand in a user agent. */
const NAMED_CRAWLERS = [
  "Mediapartners-Google",
  "AdsBot-Google",
  "Googlebot",
  "FeedFetcher-Google",
  "Storebot-Google",
  "BingBot",
  "BingPreview",
  "Baiduspider",
  "Slurp",
  "Sogou",
  "facebook",
  "meta-externalagent",
  "ia_archiver",
  "bot/",
  "bots ",
  "spider)",
  "Slack",
  "Calypso AppCrawler",
  "pingdom",
  "lyticsbot",
  "AWS Security Scanner",
  "HubSpot Crawler",
  "Bytespider",
  "Better Uptime",
  "Cloudflare-Healthchecks",
  "GTmetrix",
  "BrightEdgeOnCrawl",
  "ELB-HealthChecker",
  "naver.me/spd",
  "ClaudeBot",
  "CCBot",
  "OAI-SearchBot",
  "GPTBot",
  "PerplexityBot",
  "Applebot",
  "DuckDuckBot",
];

Deno.test("filter webCrawlers knows every crawler by name, in any case", () => {
  const filter = filters(CRAWLERS);
  for (const name of NAMED_CRAWLERS.flatMap((name) => [name, name.toLowerCase(), name.toUpperCase()])) {
    assertEquals([name, filter.match(subjectOf(agent(`Mozilla/5.0 (x; ${name}) y`)))], [
      name,
      "web-crawlers",
    ]);
  }
});

const EXTENSION_VALUES = [
  "top.GLOBALS",
  "originalCreateNotification",
  "canvas.contentDocument",
  "MyApp_RemoveAllHighlights",
  "http://tt.epicplay.com",
  "Can't find variable: ZiteReader",
  "jigsaw is not defined",
  "ComboSearch is not defined",
  "http://loading.retry.widdit.com/",
  "atomicFindClose",
  "fb_xd_fragment",
  "bmi_SafeAddOnload",
  "EBCallBackMessageReceived",
  "_gCrWeb",
  "conduitPage",
  "null is not an object (evaluating 'elt.parentNode')",
  "plugin.setSuspendState is not a function",
  "Extension context invalidated",
  "webkit-masked-url:",
  "can't access dead object",
];
const EXTENSION_SOURCES = [
  "https://graph.facebook.com/a",
  "https://connect.facebook.net/sdk.js",
  "https://eatdifferent.com.woopra-ns.com/x",
  "https://static.woopra.com/js/woopra.js",
  "chrome://a",
  "chrome-extension://a",
  "moz-extension://a",
  "safari-extension://a",
  "safari-web-extension://a",
  "webkit-masked-url://hidden/",
  "http://127.0.0.1:4001/isrunning",
  "https://webappstoolbarba.texthelp.com/x",
  "https://metrics.itunes.apple.com.edgesuite.net/x",
  "https://gc.kaspersky-labs.com/x",
];

Deno.test("filter browserExtensions knows every value and every source", () => {
  const filter = filters(EXTENSIONS);
  for (const value of EXTENSION_VALUES) {
    const subject = subjectOf(thrown({ type: "Error", value: `Uncaught: ${value}!` }));
    assertEquals([value, filter.match(subject)], [value, "browser-extensions"]);
  }
  for (const source of EXTENSION_SOURCES) {
    assertEquals([source, filter.match(subjectOf(from(source)))], [source, "browser-extensions"]);
  }
});

const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
const AGENTS = {
  ie11: "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; AS; rv:11.0) like Gecko",
  ie10Mobile: "Mozilla/5.0 (compatible; MSIE 10.0; Windows Phone 8.0; Trident/6.0; IEMobile/10.0; ARM)",
  ie9: "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)",
  ie8: "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)",
  edge18: `${CHROME} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763`,
  edge110: `${CHROME} Chrome/110.0.0.0 Safari/537.36 Edg/110.0.0.0`,
  edge111: `${CHROME} Chrome/111.0.0.0 Safari/537.36 Edg/111.0.0.0`,
  safari5:
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_6_8) AppleWebKit/534.59 (KHTML, like Gecko) Version/5.1.9 Safari/534.59",
  safari15:
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Safari/605.1.15",
  safari16:
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.0 Safari/605.1.15",
  mobileSafari:
    "Mozilla/5.0 (iPhone; CPU iPhone OS 9_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/9.0 Mobile/15E148 Safari/604.1",
  firefox110: "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/110.0",
  firefox111: "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/111.0",
  firefoxMobile: "Mozilla/5.0 (Android 10; Mobile; rv:109.0) Gecko/110.0 Firefox/110.0",
  chrome110: `${CHROME} Chrome/110.0.0.0 Safari/537.36`,
  chrome111: `${CHROME} Chrome/111.0.0.0 Safari/537.36`,
  chromeMobile:
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0.0.0 Mobile Safari/537.36",
  opera12: "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18",
  opera99: `${CHROME} Chrome/113.0.0.0 Safari/537.36 OPR/99.0.0.0`,
  opera100: `${CHROME} Chrome/114.0.0.0 Safari/537.36 OPR/100.0.0.0`,
  operaMini7: "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/29.3709; U; en) Presto/2.8.119 Version/11.10",
  operaMini34: "Opera/9.80 (Android; Opera Mini/34.0.2254/191.1; U; en) Presto/2.12.423 Version/12.16",
  android3:
    "Mozilla/5.0 (Linux; U; Android 3.2; nl-nl; GT-P6800 Build/HTJ85B) AppleWebKit/534.13 (KHTML, like Gecko) Version/4.0 Safari/534.13",
  android4:
    "Mozilla/5.0 (Linux; U; Android 4.0.3; de-ch; HTC Sensation Build/IML74K) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
} as const;

/** The agents that each option filters; all others pass. */
const OPTIONS: Readonly<Record<string, readonly (keyof typeof AGENTS)[]>> = {
  ie: ["ie8", "ie9", "ie10Mobile", "ie11"],
  ie_pre_9: ["ie8"],
  ie9: ["ie9"],
  ie10: ["ie10Mobile"],
  ie11: ["ie11"],
  edge: ["edge18", "edge110"],
  edge_pre_79: ["edge18"],
  safari: ["safari5", "safari15"],
  safari_pre_6: ["safari5"],
  firefox: ["firefox110"],
  chrome: ["chrome110"],
  opera: ["opera12", "opera99"],
  opera_pre_15: ["opera12"],
  opera_mini: ["operaMini7", "operaMini34"],
  opera_mini_pre_8: ["operaMini7"],
  android: ["android3"],
  android_pre_4: ["android3"],
  default: ["ie8", "ie9", "safari5", "opera12", "android3", "operaMini7"],
  no_such_option: [],
  constructor: [],
};

for (const [option, filtered] of Object.entries(OPTIONS)) {
  Deno.test(`filter legacyBrowsers, option ${option}`, () => {
    const filter = filters({ legacyBrowsers: { isEnabled: true, options: [option] } });
    const hit = Object.entries(AGENTS).filter(([, text]) => filter.match(subjectOf(agent(text))) !== null);
    assertEquals(hit.map(([name]) => name).sort(), [...filtered].sort());
  });
}

Deno.test("filter legacyBrowsers: default overrides all other options, none at all filter nothing", () => {
  const both = filters({ legacyBrowsers: { isEnabled: true, options: ["default", "chrome"] } });
  assertEquals(both.match(subjectOf(agent(AGENTS.chrome110))), null);
  assertEquals(both.match(subjectOf(agent(AGENTS.ie9))), "legacy-browsers");
  assertEquals(filters({ legacyBrowsers: { isEnabled: true, options: [] } }).isEmpty, true);
  assertEquals(browserOf("curl/8.0"), null);
});

Deno.test("filters come in their order, the first reason wins", () => {
  const filter = filters({ ...RELEASES, ...LOCAL, ...IPS });
  const all = event({ release: "1.0", user: { ip_address: "::1" } }, { clientAddress: "10.0.0.1" });
  assertEquals(filter.match(subjectOf(all)), "ip-address");
  assertEquals(filter.match(subjectOf({ ...all, clientAddress: "1.1.1.1" })), "release-version");
});

Deno.test("filters come in Relay's order: what each hides shows once it is off", () => {
  const settings: Record<string, object> = {
    generic: { version: 1, filters: [{ id: "named", isEnabled: true, condition: { op: "and", inner: [] } }] },
    csp: { disallowedSources: ["*"] },
    clientIps: { blacklistedIps: ["10.0.0.0/8"] },
    releases: { releases: ["*"] },
    errorMessages: { patterns: ["*"] },
    localhost: on,
    browserExtensions: on,
    legacyBrowsers: { ...on, options: ["default"] },
    webCrawlers: on,
    ignoreTransactions: { ...on, patterns: ["*"] },
  };
  const subject = subjectOf(event({
    type: "transaction",
    transaction: "/",
    release: "1",
    csp: { blocked_uri: "http://evil.test" },
    message: "x",
    user: { ip_address: "::1" },
    exception: { values: [{ value: "top.GLOBALS" }] },
    request: { headers: { "User-Agent": `${AGENTS.ie8} Googlebot` } },
  }, { clientAddress: "10.0.0.1" }));
  const reasons: (string | null)[] = [];
  for (const name of Object.keys(settings)) {
    reasons.push(filters(settings).match(subject));
    delete settings[name];
  }
  reasons.push(filters(settings).match(subject));
  assertEquals(reasons, [
    "named",
    "invalid-csp",
    "ip-address",
    "release-version",
    "error-message",
    "localhost",
    "browser-extensions",
    "legacy-browsers",
    "web-crawlers",
    "filtered-transaction",
    null,
  ]);
});

Deno.test("filters by address need no event, all others do", () => {
  assertEquals([filters(IPS).reads("event"), filters(RELEASES).reads("event")], [false, true]);
});

const release = (value: string) => ({ op: "eq", name: "event.release", value });
const list = (filters: object[], version = 1) => ({ version, filters });
const generic = (id: string, condition: object | null, isEnabled = true) => ({ id, condition, isEnabled });

/** Filters of the project, of all projects, and the names that match release 1. */
const GENERIC: readonly (readonly [string, object | null, object | null, readonly string[]])[] = [
  ["project", list([generic("a", release("1")), generic("b", release("2"))]), null, ["a"]],
  ["global after project", list([generic("p", release("1"))]), list([generic("g", release("1"))]), [
    "p",
    "g",
  ]],
  ["project's condition wins", list([generic("a", release("2"))]), list([generic("a", release("1"))]), []],
  [
    "project without condition takes the global one",
    list([generic("a", null)]),
    list([generic("a", release("1"), false)]),
    ["a"],
  ],
  [
    "project disables a global one",
    list([generic("a", null, false)]),
    list([generic("a", release("1"))]),
    [],
  ],
  [
    "project's version too new",
    list([generic("a", release("1"))], 2),
    list([generic("g", release("1"))]),
    [],
  ],
  ["global version too new", list([generic("a", release("1"))]), list([], 2), []],
  [
    "unsupported condition never matches",
    list([generic("a", { op: "not", inner: { op: "regex" } })]),
    null,
    [],
  ],
  ["no condition anywhere", list([generic("a", null)]), null, []],
];

for (const [what, project, global, names] of GENERIC) {
  Deno.test(`filter generic: ${what}`, () => {
    const settings = filterSettingsDocument.parse({ generic: project });
    const globalList = filterSettingsDocument.parse({ generic: global }).generic ?? null;
    const hits = genericFilters(settings.generic ?? null, globalList)
      .filter((filter) => filter.matches(subjectOf(event({ release: "1" }))));
    assertEquals(hits.map(({ reason }) => reason), names);
  });
}
