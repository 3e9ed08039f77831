/**
 * Script of the status page, for browsers: takes the history once, then an update a second, and draws both.
 *
 * All text goes in as text, never as markup. What it shows of the node's state comes from the node; it decides alone when the
 * node is gone.
 */
export const STATUS_SCRIPT = String.raw`
"use strict";
const GONE_AFTER_MS = 5000;
const byId = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const count = (n) => n < 100000 ? whole.format(n) : short.format(n);
const rate = (n) => n >= 100 ? count(n) : n >= 9.95 ? n.toFixed(0) : n.toFixed(1);
const ms = (n) => n >= 1000 ? (n / 1000).toFixed(1) + " s" : n >= 9.95 ? n.toFixed(0) + " ms" : n.toFixed(1) + " ms";
const bytes = (n) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return n.toFixed(i === 0 || n >= 100 ? 0 : 1) + " " + units[i];
};
const span = (s) => s < 90 ? Math.ceil(s) + " s" : s < 5400 ? Math.round(s / 60) + " min" : s < 172800 ? (s / 3600).toFixed(1) + " h" : Math.round(s / 86400) + " days";
function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}
let spans = null, shown = "minutes", latest = null, seenAt = 0;

const CHARTS = [
  { id: "traffic", format: (n) => rate(n) + "/s", least: 1, lines: [["accepted", "blue", "accepted"], ["delivered", "green", "delivered"], ["refused", "orange", "refused"]] },
  { id: "depth", format: count, least: 10, area: true, lines: [["waiting", "blue", "records waiting"]] },
  { id: "times", format: ms, least: 5, lines: [["answerP50", "green", "median"], ["answerP99", "orange", "99th percentile"]] },
  { id: "failures", format: (n) => rate(n) + "/s", least: 1, area: true, lines: [["failed", "red", "failed attempts"]] },
];
const svgNode = (tag, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  return made;
};
function nice(n) {
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= n) * power;
}
function drawChart({ id, format, least, area, lines }) {
  const { seconds, values } = spans[shown];
  const svg = byId(id), width = svg.clientWidth || 400, height = 150, left = 46, bottom = 20, top = 8;
  const max = nice(Math.max(least, ...lines.flatMap(([field]) => values[field])));
  const length = values[lines[0][0]].length;
  const size = Math.max(60, length);
  const x = (i) => left + (width - left) * (size - length + i) / (size - 1);
  const y = (v) => top + (height - top - bottom) * (1 - v / max);
  const parts = [];
  values.trouble.forEach((t, i) => {
    if (t > 0) parts.push(svgNode("rect", { class: "trouble", x: x(i), y: top, width: (width - left) / (size - 1) + .5, height: height - top - bottom }));
  });
  for (const share of [0, .5, 1]) {
    parts.push(svgNode("line", { class: "grid", x1: left, x2: width, y1: y(max * share), y2: y(max * share) }));
    const label = svgNode("text", { x: left - 8, y: y(max * share) + 4, "text-anchor": "end" });
    label.textContent = share === 0 ? "0" : format(max * share).replace("/s", "").replace(".0", "");
    parts.push(label);
  }
  const ticks = [[0, span(size * seconds) + " ago", "start"], [(size - 1) / 2, span(size * seconds / 2), "middle"], [size - 1, "now", "end"]];
  for (const [i, text, anchor] of ticks) {
    const label = svgNode("text", { x: left + (width - left) * i / (size - 1), y: height - 4, "text-anchor": anchor });
    label.textContent = text;
    parts.push(label);
  }
  for (const [field, colour] of lines) {
    const list = values[field];
    if (list.length < 1) continue;
    const path = list.map((v, i) => (i ? "L" : "M") + x(i).toFixed(1) + " " + y(v).toFixed(1)).join("");
    if (area) parts.push(svgNode("path", { class: "area " + colour, d: path + "L" + x(length - 1) + " " + y(0) + "L" + x(0) + " " + y(0) + "Z" }));
    parts.push(svgNode("path", { class: "line " + colour, d: path }));
  }
  svg.setAttribute("viewBox", "0 0 " + width + " " + height);
  svg.replaceChildren(...parts);
  byId(id + "-legend").replaceChildren(...lines.map(([field, colour, name]) => {
    const item = element("span", colour, element("i"), name + " ");
    item.append(element("b", "", format(spans.minutes.values[field].at(-1) ?? 0)));
    return item;
  }));
}
function tile(label, value, alarm) {
  return element("div", "card tile" + (alarm ? " alarm" : ""), element("b", "", value), element("span", "", label));
}
/** Columns: [heading, cell text of a row, is a number]. */
function table(id, rows, columns, empty) {
  const place = byId(id);
  if (rows.length === 0) return place.replaceChildren(element("p", "empty", empty));
  const head = element("tr", "", ...columns.map(([name, , n]) => element("th", n === true ? "n" : "", name)));
  const body = rows.map((row) => element("tr", "", ...columns.map(([, cell, n]) => {
    const content = cell(row);
    return element("td", n === true ? "n" : n || "", ...(Array.isArray(content) ? content : [content]));
  })));
  place.replaceChildren(element("table", "", element("thead", "", head), element("tbody", "", ...body)));
}
function stateOf(s) {
  const waiting = s.spool.waiting === 1 ? "1 record waits" : count(s.spool.waiting) + " records wait";
  if (s.phase === "draining") return ["warn", "Draining", "stopping: no new traffic, what is in flight finishes"];
  if (s.phase === "starting") return ["warn", "Starting", ""];
  if (s.phase === "unready") return ["bad", "Not ready", s.problems.join(", ")];
  if (s.upstreamState === "down") return ["warn", "Ready, upstream down", "taking traffic; " + waiting + " on disk until it answers again"];
  if (s.upstreamState === "failing") return ["warn", "Ready, upstream failing", "requests to it fail; " + waiting + " on disk"];
  if (s.drain) return ["ok", "Ready, catching up", waiting + (s.drain.secondsLeft === null ? "; the backlog does not shrink" : "; done in about " + span(s.drain.secondsLeft))];
  return ["ok", "Ready", s.notes.length ? "" : "taking traffic, upstream answers"];
}
function drawState(kind, title, text) {
  const place = byId("state");
  place.className = kind;
  place.replaceChildren(element("b", "", title), element("span", "", text));
  document.title = title + " · Landfall";
}
function draw() {
  const { status: s, sample } = latest;
  const [kind, title, text] = stateOf(s);
  drawState(kind, title, [text, ...s.notes].filter(Boolean).join(" · "));
  byId("version").textContent = s.version;
  byId("facts").textContent = s.mode + " mode → " + s.upstream + " · " + s.lanes + (s.lanes === 1 ? " lane" : " lanes") + " · up " + span(s.uptimeSeconds) +
    (s.registration ? " · " + s.registration + ", " + count(s.projects.enabled) + " projects known" : "");
  const full = s.spool.bytes / s.spool.bytesMax;
  byId("tiles").replaceChildren(
    tile("requests a second", rate(sample.requests)),
    tile("answered within, 99 of 100", ms(sample.answerP99), sample.answerP99 > 250),
    tile("refused a second", rate(sample.refused), sample.refused > 0.1 * sample.requests && sample.refused > 1),
    tile("delivered a second", rate(sample.delivered)),
    tile("records on disk, waiting", count(s.spool.waiting), s.upstreamState !== "up" && s.spool.waiting > 0),
    tile("of " + bytes(s.spool.bytesMax) + " spool, " + (full < .001 && full > 0 ? "<0.1" : (full * 100).toFixed(1)) + " % full", bytes(s.spool.bytes), full > .7),
    tile("backlog gone in", s.drain === null ? "–" : s.drain.secondsLeft === null ? "grows" : span(s.drain.secondsLeft), s.drain !== null && s.drain.secondsLeft === null),
    tile("dead letters", count(s.forward.deadLetters), s.forward.deadLetters > 0),
  );
  const sent = (e) => e.answered + e.failed;
  table("endpoints", s.endpoints, [
    ["Upstream", (e) => [element("i", "dot " + (e.breakersOpen > 0 && e.state === "in" ? "failing" : e.state)), e.upstream]],
    ["Endpoint", (e) => e.endpoint], ["State", (e) => e.state.replace("_", " ")],
    ["Answered", (e) => count(e.answered), true], ["Failed", (e) => count(e.failed), true],
    ["Mean time", (e) => e.answered ? ms(e.answerMs / e.answered) : "–", true],
    ["In flight", (e) => count(e.inFlight), true], ["Connections", (e) => count(e.connections), true], ["Ejections", (e) => count(e.ejections), true],
  ], "No endpoint is known.");
  table("projects", s.topProjects, [
    ["Project", (p) => p.project], ["Accepted /s", (p) => rate(p.accepted), true], ["Refused /s", (p) => rate(p.refused), true], ["Bytes /s", (p) => bytes(p.bytes), true],
  ], "Nobody sends at present.");
  table("refusals", s.refusals, [["Status", (r) => String(r.status)], ["Route", (r) => r.route], ["Requests", (r) => count(r.count), true]], "Nothing was refused.");
  table("drops", s.drops, [["Outcome", (d) => d.outcome], ["Reason", (d) => d.reason], ["Category", (d) => d.category], ["Quantity", (d) => count(d.quantity), true]], "Everything reached the upstream, or still waits.");
  table("errors", s.errors, [["When", (e) => new Date(e.atMs).toLocaleTimeString()], ["Room", (e) => e.room], ["What", (e) => e.message, "long"]], "No warnings since the start.");
  CHARTS.forEach(drawChart);
}
function push({ sample }) {
  for (const field in sample) {
    const list = spans.minutes.values[field];
    list.push(sample[field]);
    if (list.length > 600) list.shift();
  }
}
function connect() {
  const events = new EventSource("/events");
  events.addEventListener("history", ({ data }) => { spans = JSON.parse(data); });
  events.addEventListener("update", ({ data }) => {
    const next = JSON.parse(data);
    if (latest && next.number !== latest.number) push(next);
    latest = next;
    seenAt = performance.now();
    draw();
  });
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
    fetch("/events", { method: "HEAD" }).then((answer) => { if (answer.status === 401) location.reload(); }, () => {});
  };
}
for (const button of document.querySelectorAll(".range button")) {
  button.addEventListener("click", () => {
    shown = button.dataset.span;
    for (const other of document.querySelectorAll(".range button")) other.setAttribute("aria-pressed", String(other === button));
    if (latest) draw();
  });
}
addEventListener("resize", () => { if (latest) CHARTS.forEach(drawChart); });
setInterval(() => { if (seenAt && performance.now() - seenAt > GONE_AFTER_MS) drawState("bad", "No answer", "the node does not answer; this is what it said last"); }, 1000);
connect();
`;
