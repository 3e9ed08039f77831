/**
 * The status page: one document, one script and one style sheet of its own, nothing from elsewhere, so that the strict
 * Content-Security-Policy of the admin application holds. It is fed by `status_feed.ts`.
 */
import { STATUS_SCRIPT } from "./status_page_script.ts";
import { STATUS_STYLE } from "./status_page_style.ts";

const chart = (id: string, title: string): string =>
  `<section class="card"><div class="bar"><h2>${title}</h2><div class="legend" id="${id}-legend"></div></div>` +
  `<svg id="${id}" role="img" aria-label="${title}"></svg></section>`;

const table = (id: string, title: string, wide = false): string =>
  `<section class="card${
    wide ? " wide" : ""
  }"><h2>${title}</h2><div class="scroll" id="${id}"></div></section>`;

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Landfall</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/status.css">
</head>
<body>
<div class="wrap">
<header class="top">
  <h1>Landfall <small id="version"></small></h1>
  <div id="facts"></div>
</header>
<div id="state" role="status" aria-live="polite"><b>Connecting…</b></div>
<main>
  <div class="tiles" id="tiles"></div>
  <div class="bar"><h2>What happened</h2><div class="range"><button data-span="minutes" aria-pressed="true">10 minutes</button><button data-span="day" aria-pressed="false">24 hours</button></div></div>
  <div class="columns">
    ${chart("traffic", "Envelopes")}
    ${chart("depth", "Waiting on disk")}
    ${chart("times", "Time to answer")}
    ${chart("failures", "Upstream failures")}
    ${table("endpoints", "Upstream endpoints", true)}
    ${table("projects", "Busiest projects, last minute")}
    ${table("refusals", "Refused requests, since the start")}
    ${table("drops", "Did not reach the upstream, since the start")}
    ${table("errors", "Recent warnings and errors")}
  </div>
</main>
<footer><a href="/metrics">metrics</a> · <a href="/status.json">status.json</a> · <a href="/health">health</a> · <a href="/config">configuration</a></footer>
</div>
<script src="/status.js"></script>
</body>
</html>
`;

/** The three parts of the page. */
export const STATUS_PAGE: { readonly html: string; readonly style: string; readonly script: string } = {
  html,
  style: STATUS_STYLE,
  script: STATUS_SCRIPT,
};
