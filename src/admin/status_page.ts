/**
 * The status page: one document, one script and one style sheet of its own, nothing from elsewhere, so that the strict
 * Content-Security-Policy of the admin application holds.
 */
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
<header>
  <h1>Landfall <small id="version"></small></h1>
  <p><span id="phase" class="badge">…</span> <span id="problems"></span></p>
  <p id="facts"></p>
</header>
<main>
  <section aria-label="Traffic" id="tiles"></section>
  <section>
    <h2>Endpoints</h2>
    <table>
      <thead><tr><th>Upstream</th><th>Endpoint</th><th>State</th><th class="number">Answered</th><th class="number">Failed</th><th class="number">In flight</th><th class="number">Ejections</th></tr></thead>
      <tbody id="endpoints"></tbody>
    </table>
  </section>
  <section>
    <h2>Did not reach the upstream</h2>
    <table>
      <thead><tr><th>Outcome</th><th>Reason</th><th>Category</th><th class="number">Quantity</th></tr></thead>
      <tbody id="drops"></tbody>
    </table>
  </section>
</main>
<footer><a href="/metrics">metrics</a> · <a href="/status.json">status.json</a></footer>
<script src="/status.js"></script>
</body>
</html>
`;

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h1 small { font-weight: 400; opacity: .6; }
h2 { font-size: 1.05rem; }
header p { margin: .35rem 0; }
.badge { border-radius: 1rem; color: #fff; background: #888; padding: .1rem .7rem; }
.badge.ready { background: #18794e; } .badge.unready, .badge.gone { background: #c62a2f; } .badge.draining { background: #ad5700; }
#tiles { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); margin: 1rem 0; }
#tiles div { border: 1px solid var(--line); border-radius: .6rem; padding: .6rem .8rem; }
#tiles b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
#tiles span { font-size: .85rem; opacity: .75; }
#tiles .alarm { border-color: #c62a2f; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .4rem; text-align: left; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
footer { margin-top: 1.5rem; opacity: .8; }
`;

const script = `
"use strict";
const byId = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en");
const bytes = (n) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return n.toFixed(i === 0 ? 0 : 1) + " " + units[i];
};
let last = null;
function tile(label, value, alarm) {
  const box = document.createElement("div");
  if (alarm) box.className = "alarm";
  const b = document.createElement("b");
  const span = document.createElement("span");
  b.textContent = value;
  span.textContent = label;
  box.append(b, span);
  return box;
}
function rows(list, texts, numbers) {
  return list.map((entry) => {
    const row = document.createElement("tr");
    for (const key of [...texts, ...numbers]) {
      const cell = document.createElement("td");
      cell.textContent = numbers.includes(key) ? count.format(entry[key]) : entry[key];
      if (numbers.includes(key)) cell.className = "number";
      row.append(cell);
    }
    return row;
  });
}
function draw(s, at) {
  const seconds = last ? (at - last.at) / 1000 : 0;
  const rate = (now, before) => seconds > 0 ? ((now - before) / seconds).toFixed(1) + " /s" : "–";
  byId("version").textContent = s.version;
  byId("phase").textContent = s.forward.outage && s.phase === "ready" ? "ready, upstream down" : s.phase;
  byId("phase").className = "badge " + s.phase;
  byId("problems").textContent = [...s.problems, ...s.notes].join(", ");
  byId("facts").textContent =
    s.mode + " mode → " + s.upstream + " · " + s.lanes + " lane" + (s.lanes === 1 ? "" : "s") + " · up " +
    Math.floor(s.uptimeSeconds / 60) + " min" +
    (s.registration === null ? "" : " · " + s.registration + " · " + count.format(s.projects.enabled) + " projects known" +
      (s.projects.pending ? ", " + count.format(s.projects.pending) + " pending" : ""));
  byId("tiles").replaceChildren(
    tile("requests", rate(s.requests, last ? last.s.requests : 0)),
    tile("envelopes accepted", count.format(s.accepted)),
    tile("requests refused", count.format(s.refused)),
    tile("delivered", count.format(s.forward.delivered)),
    tile("waiting on disk", count.format(s.spool.waiting)),
    tile("of " + bytes(s.spool.bytesMax) + " spool", bytes(s.spool.bytes), s.spool.bytes > 0.9 * s.spool.bytesMax),
    ...(s.drain === null ? [] : [
      tile(
        "until the backlog of " + count.format(s.drain.peak) + " is gone",
        s.drain.secondsLeft === null ? "does not shrink" : Math.ceil(s.drain.secondsLeft / 60) + " min",
      ),
    ]),
    tile("sent, not answered", count.format(s.forward.inFlight)),
    tile("upstream connections", count.format(s.forward.connections)),
    tile("failed attempts", count.format(s.forward.failed), s.forward.outage > 0),
    tile("dead letters", count.format(s.forward.deadLetters), s.forward.deadLetters > 0),
  );
  byId("endpoints").replaceChildren(...rows(s.endpoints, ["upstream", "endpoint", "state"], [
    "answered",
    "failed",
    "inFlight",
    "ejections",
  ]));
  byId("drops").replaceChildren(...rows(s.drops, ["outcome", "reason", "category"], ["quantity"]));
  last = { s, at };
}
async function refresh() {
  try {
    const answer = await fetch("/status.json", { cache: "no-store" });
    draw(await answer.json(), performance.now());
  } catch {
    byId("phase").textContent = "no answer";
    byId("phase").className = "badge gone";
  }
  setTimeout(refresh, 1000);
}
refresh();
`;

/** The three parts of the page. */
export const STATUS_PAGE: { readonly html: string; readonly style: string; readonly script: string } = {
  html,
  style,
  script,
};
