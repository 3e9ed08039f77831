/** The chart: for each city one bar before and one after, for light and dark pages, with a text for those who cannot see it. */
import { averageMs, type BothWays, type CityRow, type Summary } from "./summary.ts";

const WIDTH = 880;
const LABELS = 182;
const BARS = WIDTH - LABELS - 90;
const TOP = 118;
const ROW = 30;
const HEADING = 30;
const BAR = 11;

const STYLE = `
.page { fill: #ffffff; stroke: #d0d7de } .ink { fill: #1f2328 } .soft { fill: #59636e } .grid { stroke: #d8dee4 }
.before { fill: #8c959f } .after { fill: #0b7a75 } .after-ink { fill: #0b6b66; font-weight: 600 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; stroke: #3d444d } .ink { fill: #f0f6fc } .soft { fill: #9198a1 } .grid { stroke: #2a3038 }
.before { fill: #6e7681 } .after { fill: #2dd4bf } .after-ink { fill: #5eead4 }
}
text { font: 13px system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif }
.title { font-size: 19px; font-weight: 600 } .small { font-size: 11.5px } .strong { font-weight: 600 }
.heading { font-size: 11.5px; font-weight: 600; letter-spacing: 0.06em }
`;

/** Kind of request that is drawn; see `REQUEST_KINDS`. */
const KIND = 0;

/** Draws the answer times of SDKs over new connections, as SVG. */
export function drawChart({ rows, rounds }: Summary): string {
  const average = averageMs(rows, KIND);
  const mostMs = Math.max(...rows.map(({ answerMs }) => Math.max(...Object.values(answerMs[KIND]!))));
  const stepMs = mostMs > 400 ? 200 : mostMs > 100 ? 50 : 10;
  const endMs = Math.ceil(mostMs / stepMs) * stepMs;
  const x = (ms: number): number => LABELS + BARS * ms / endMs;
  const body: string[] = [];
  let y = TOP;
  body.push(pair("Average of all cities", average, y, x, "ink strong"));
  y += ROW + 6;
  for (const [continent, cities] of Map.groupBy(rows, (row) => row.continent)) {
    y += HEADING;
    body.push(text(LABELS - 12, y - 9, continent.toUpperCase(), "soft heading", "end"));
    for (const row of cities.toSorted((a, b) => b.answerMs[KIND]!.direct - a.answerMs[KIND]!.direct)) {
      body.push(pair(row.city, row.answerMs[KIND]!, y, x, "ink"));
      y += ROW;
    }
  }
  const bottom = y + 6;
  const grid = Array.from({ length: endMs / stepMs + 1 }, (_, n) => [
    `<line class="grid" x1="${at(x(n * stepMs))}" y1="${TOP - 10}" x2="${
      at(x(n * stepMs))
    }" y2="${bottom}"/>`,
    text(x(n * stepMs), bottom + 16, `${n * stepMs} ms`, "soft small", "middle"),
  ]).flat();
  const height = bottom + 34;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title description">`,
    `<title id="title">Time until an SDK's event is answered, by city, without and with points of presence</title>`,
    `<desc id="description">${spoken(rows, average)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    text(24, 38, "Time until an event is answered", "ink title"),
    text(
      24,
      60,
      `@sentry/node, first event after a pause (TCP, TLS 1.3, request); median of ${rounds} per city; distances are modelled`,
      "soft small",
    ),
    `<rect class="before" x="24" y="77" width="${BAR}" height="${BAR}" rx="2"/>`,
    text(42, 87, "before: straight to the origin in North America", "ink small"),
    `<rect class="after" x="330" y="77" width="${BAR}" height="${BAR}" rx="2"/>`,
    text(348, 87, "after: to the nearest Landfall node", "ink small"),
    ...grid,
    ...body,
    "</svg>",
    "",
  ].join("\n");
}

function pair(
  label: string,
  ms: BothWays,
  y: number,
  x: (ms: number) => number,
  labelClass: string,
): string {
  const bar = (kind: string, top: number, value: number): string =>
    `<rect class="${kind}" x="${LABELS}" y="${top}" width="${
      at(Math.max(1, x(value) - LABELS))
    }" height="${BAR}" rx="2"/>`;
  return [
    text(LABELS - 12, y + 16, label, labelClass, "end"),
    bar("before", y, ms.direct),
    text(x(ms.direct) + 6, y + 10, String(Math.round(ms.direct)), "soft small"),
    bar("after", y + BAR + 2, ms.pop),
    text(x(ms.pop) + 6, y + 2 * BAR + 1, String(Math.round(ms.pop)), "after-ink small"),
  ].join("\n");
}

function spoken(rows: readonly CityRow[], average: BothWays): string {
  const one = (name: string, ms: BothWays): string =>
    `${name}: ${Math.round(ms.direct)} ms before, ${Math.round(ms.pop)} ms after.`;
  return [one("Average", average), ...rows.map((row) => one(row.city, row.answerMs[KIND]!))].join(" ");
}

function text(x: number, y: number, content: string, className: string, anchor = "start"): string {
  return `<text class="${className}" x="${at(x)}" y="${at(y)}" text-anchor="${anchor}">${content}</text>`;
}

function at(pixels: number): string {
  return String(Math.round(pixels * 10) / 10);
}
