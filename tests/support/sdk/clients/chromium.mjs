/**
 * Drives a headless Chromium: pages with the SDK, straight and through a tunnel, and pages that break their own
 * Content-Security-Policy, with `report-uri` and with the Reporting API (which works over TLS only).
 *
 * Prints a line when everything was done; ends when its standard input does, because reports leave late.
 */
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { connect } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const { SENTRY_DSN, SENTRY_TUNNEL, CHROMIUM, TLS_KEY, TLS_CERTIFICATE } = process.env;
const dsn = new URL(SENTRY_DSN);
const security = `/api${dsn.pathname}/security/?sentry_key=${dsn.username}`;

const bundle = await build({
  entryPoints: ["chromium_page.mjs"],
  bundle: true,
  format: "iife",
  write: false,
});
const script = bundle.outputFiles[0].text;

const listen = (server) =>
  new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve(server.address().port))
  );
const tls = { key: TLS_KEY, cert: TLS_CERTIFICATE };

/** TLS before the ingestion port, as a balancer would put it there. */
const ingest = createTlsServer(tls, (socket) => {
  const plain = connect(Number(dsn.port), dsn.hostname);
  socket.pipe(plain).pipe(socket);
  for (const end of [socket, plain]) {
    end.on("error", () => (socket.destroy(), plain.destroy()));
  }
});
const ingestOrigin = `https://localhost:${await listen(ingest)}`;

const csp = "default-src 'none'; script-src 'self'";
const pages = {
  "/app": [{}, page({ dsn: SENTRY_DSN })],
  "/tunnel": [{}, page({ dsn: SENTRY_DSN, tunnel: SENTRY_TUNNEL })],
  "/report-uri": [{
    "content-security-policy":
      `${csp}; report-uri ${dsn.origin}${security}&sentry_release=shop%403.0.0`,
  }, "<script>alert(1)</script>"],
  "/reporting-api": [{
    "content-security-policy": `${csp}; report-to csp`,
    "reporting-endpoints": `csp="${ingestOrigin}${security}"`,
  }, "<script>alert(1)</script>"],
};

function page(settings) {
  return `<!doctype html><button>pay</button><script>settings = ${
    JSON.stringify(settings)
  }</script><script src="/sdk.js"></script>`;
}

function serve(request, response) {
  if (request.url === "/sdk.js") {
    return response.writeHead(200, { "content-type": "text/javascript" }).end(script);
  }
  const [headers, body] = pages[request.url] ?? [{}, ""];
  response.writeHead(200, { "content-type": "text/html; charset=utf-8", ...headers }).end(body);
}
const site = `http://127.0.0.1:${await listen(createServer(serve))}`;
const secureSite = `https://localhost:${await listen(createSecureServer(tls, serve))}`;

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",
    "--short-reporting-delay",
  ],
});
// A context per page: sessions and replays of one page must not end with the next.
const open = async (url) => {
  const tab = await (await browser.newContext()).newPage();
  await tab.goto(url);
  return tab;
};
for (const path of SENTRY_TUNNEL ? ["/app", "/tunnel"] : ["/app"]) {
  const tab = await open(site + path);
  if (!await tab.evaluate(() => globalThis.send())) {
    throw new Error(`${path} did not flush`);
  }
}
await open(`${site}/report-uri`);
await open(`${secureSite}/reporting-api`);
console.log(`done with Chromium ${browser.version()}`);

process.stdin.resume().on("end", async () => {
  await browser.close();
  process.exit(0);
});
