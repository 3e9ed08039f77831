/** Style sheet of the status page: system fonts, one scale of sizes, colours with contrast in light and dark. */
export const STATUS_STYLE = `
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --card: #fff; --ink: #171a21; --muted: #5a6372; --line: #dfe3e8; --grid: #eceef1;
  --blue: #2563c9; --green: #0f7a55; --orange: #b4530a; --red: #bf2330; --ok-wash: #e4f4ec; --warn-wash: #fdf0e0; --bad-wash: #fbe7e8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1015; --card: #151a21; --ink: #e7ebf1; --muted: #9aa5b4; --line: #2a313b; --grid: #20262f;
    --blue: #79aefc; --green: #52cf9f; --orange: #f2a65e; --red: #ff858a; --ok-wash: #10291f; --warn-wash: #33230f; --bad-wash: #381a1d;
  }
}
* { box-sizing: border-box; }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; margin: 0; }
.wrap { margin: 0 auto; max-width: 72rem; padding: 1.25rem; }
header.top { align-items: baseline; display: flex; flex-wrap: wrap; gap: .25rem 1rem; justify-content: space-between; margin-bottom: 1rem; }
h1 { font-size: 1.25rem; letter-spacing: -.01em; margin: 0; } h1 small { color: var(--muted); font-size: .85rem; font-weight: 400; }
#facts { color: var(--muted); font-size: .85rem; overflow-wrap: anywhere; }
#state { border: 1px solid var(--line); border-left: .4rem solid var(--muted); border-radius: .6rem; display: flex; flex-wrap: wrap; gap: .1rem .8rem; align-items: baseline; margin-bottom: 1rem; padding: .8rem 1rem; background: var(--card); }
#state b { font-size: 1.1rem; } #state span { color: var(--ink); }
#state.ok { background: var(--ok-wash); border-color: var(--green); } #state.ok b { color: var(--green); }
#state.warn { background: var(--warn-wash); border-color: var(--orange); } #state.warn b { color: var(--orange); }
#state.bad { background: var(--bad-wash); border-color: var(--red); } #state.bad b { color: var(--red); }
.tiles { display: grid; gap: .75rem; grid-template-columns: repeat(4, minmax(0, 1fr)); margin-bottom: .75rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.tile b { display: block; font-size: 1.55rem; font-variant-numeric: tabular-nums; font-weight: 600; letter-spacing: -.02em; line-height: 1.2; }
.tile span { color: var(--muted); font-size: .8rem; } .tile.alarm { border-color: var(--orange); } .tile.alarm b { color: var(--orange); }
.columns { display: grid; gap: .75rem; grid-template-columns: repeat(2, minmax(0, 1fr)); margin-bottom: .75rem; }
.columns > .wide { grid-column: 1 / -1; }
h2 { font-size: .95rem; margin: 0 0 .5rem; } .bar { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .2rem 1rem; align-items: baseline; }
.legend { color: var(--muted); display: flex; flex-wrap: wrap; font-size: .8rem; gap: 0 .9rem; }
.legend i { border-radius: 2px; display: inline-block; height: .6rem; margin-right: .35rem; width: .6rem; }
.legend b { color: var(--ink); font-variant-numeric: tabular-nums; font-weight: 600; }
svg { display: block; height: 150px; overflow: visible; width: 100%; }
svg text { fill: var(--muted); font-size: 11px; } svg .grid { stroke: var(--grid); } svg .trouble { fill: var(--red); opacity: .1; }
svg path { fill: none; stroke-linejoin: round; stroke-width: 1.75; }
.blue { --c: var(--blue); } .green { --c: var(--green); } .orange { --c: var(--orange); } .red { --c: var(--red); }
svg path.line { stroke: var(--c); } svg path.area { fill: var(--c); opacity: .14; stroke: none; } .legend i { background: var(--c); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; width: 100%; }
th { color: var(--muted); font-size: .75rem; font-weight: 500; } th, td { border-bottom: 1px solid var(--line); padding: .3rem .75rem .3rem 0; text-align: left; white-space: nowrap; }
tr:last-child td { border-bottom: 0; } th.n, td.n { font-variant-numeric: tabular-nums; padding-right: 0; padding-left: .75rem; text-align: right; } td.long { white-space: normal; overflow-wrap: anywhere; }
td .dot { border-radius: 50%; display: inline-block; height: .55rem; margin-right: .45rem; width: .55rem; background: var(--muted); }
td .dot.in { background: var(--green); } td .dot.slow_start { background: var(--orange); } td .dot.ejected, td .dot.probe_failed, td .dot.failing { background: var(--red); }
.empty { color: var(--muted); font-size: .875rem; margin: 0; }
.range { display: inline-flex; border: 1px solid var(--line); border-radius: .5rem; overflow: hidden; }
.range button { background: var(--card); border: 0; color: var(--muted); cursor: pointer; font: inherit; font-size: .8rem; padding: .25rem .7rem; }
.range button[aria-pressed=true] { background: var(--ink); color: var(--card); } :focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
footer { color: var(--muted); font-size: .8rem; margin-top: 1rem; } a { color: var(--blue); }
.sign-in { display: grid; min-height: 100vh; place-items: center; padding: 1rem; }
.sign-in form { background: var(--card); border: 1px solid var(--line); border-radius: .8rem; display: grid; gap: .6rem; max-width: 22rem; padding: 1.5rem; width: 100%; }
.sign-in input { background: var(--page); border: 1px solid var(--line); border-radius: .4rem; color: var(--ink); font: inherit; padding: .5rem .6rem; }
.sign-in button { background: var(--blue); border: 0; border-radius: .4rem; color: var(--card); cursor: pointer; font: inherit; font-weight: 600; padding: .55rem; }
.sign-in .problem { color: var(--red); margin: 0; } .sign-in .hint { color: var(--muted); font-size: .8rem; margin: 0; }
@media (max-width: 44rem) { .columns { grid-template-columns: minmax(0, 1fr); } .wrap { padding: .75rem; } .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); } .tile b { font-size: 1.3rem; } }
`;
