"""The report page's style: light, dark, narrow and printed."""

__all__ = ['STYLE']

STYLE = """
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1d2733; --soft: #566273; --line: #d5dbe3;
  --band: #f4f6f9; --head: #e9edf3; --link: #1c5d99; --none: #9a4a12; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14181d; --ink: #dfe5ec; --soft: #9ba8b7; --line: #333c47;
  --band: #1b2027; --head: #232a33; --link: #7db8ee; --none: #e2a271; } }
* { box-sizing: border-box; }
html { font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue",
  "Liberation Sans", Arial, sans-serif; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); }
main, header, footer { max-width: 82rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
footer { padding-bottom: 3rem; color: var(--soft); font-size: .875rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.4rem; line-height: 1.25; margin: 3rem 0 .75rem;
  padding-top: .75rem; border-top: 2px solid var(--line); }
h3 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
h4 { font-size: 1rem; margin: 2rem 0 .5rem; color: var(--soft); }
p, ul { max-width: 46rem; margin: .6rem 0; }
a { color: var(--link); }
code { font: .9em ui-monospace, "SFMono-Regular", Menlo, Consolas,
  "Liberation Mono", monospace; background: var(--band); padding: .1em .3em;
  border-radius: 3px; overflow-wrap: anywhere; }
nav { margin: 1.5rem 0 0; padding: .75rem 1rem; background: var(--band);
  border-radius: 6px; }
nav ul { margin: 0; padding: 0; max-width: none; list-style: none; }
nav > ul > li { margin: .15rem 0; }
nav ul ul { display: inline; }
nav ul ul li { display: inline; font-size: .9rem; }
nav ul ul li::before { content: " · "; color: var(--soft); }
.scroll { overflow-x: auto; margin: 1rem 0 1.75rem; }
.scroll:focus-visible, a:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
table { border-collapse: collapse; font-size: .9rem; line-height: 1.35;
  min-width: min(36rem, 100%);
  font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 0 0 .5rem;
  max-width: min(46rem, calc(100vw - 2.6rem)); position: sticky; left: 0; }
caption strong { color: var(--ink); }
th, td { padding: .3rem .55rem; white-space: nowrap; text-align: right;
  vertical-align: baseline; }
thead th { font-weight: 600; border-bottom: 1px solid var(--line);
  background: var(--head); vertical-align: bottom; }
thead th[colspan] { text-align: center; border-bottom: 0; }
thead th.stub, tbody th, th.words, td.words { text-align: left; }
tbody th { font-weight: 500; }
thead th.name, tbody th[scope="row"] { position: sticky; left: 0; }
tbody tr:nth-child(odd) > th { background: var(--paper); }
tbody th.group { font-weight: 600; vertical-align: top;
  white-space: normal; min-width: 6rem; }
.first { border-left: 1px solid var(--line); }
tbody tr:nth-child(even) > * { background: var(--band); }
tbody th.group { background: var(--paper) !important; }
tbody { border-bottom: 1px solid var(--line); }
td.words { white-space: normal; min-width: 9rem; max-width: 32rem;
  overflow-wrap: anywhere; }
td.paper, th.paper { color: var(--soft); }
td.none { color: var(--none); font-style: italic; font-size: .85em; }
figure { margin: 1.5rem 0 2rem; }
figure .scroll { margin: 0; }
figure img { display: block; max-width: 100%; min-width: 34rem;
  height: auto; }
figure img.png { background: #ffffff; padding: .5rem; border-radius: 6px;
  min-width: 0; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 46rem;
  margin-top: .4rem; }
@media (max-width: 40rem) { html { font-size: 15px; }
  h1 { font-size: 1.5rem; } th, td { padding: .3rem .5rem; } }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000;
    --soft: #444; --line: #bbb; --band: #f6f6f6; --head: #eee; }
  html { font-size: 10px; } nav { display: none; }
  main, header, footer { max-width: none; padding: 0; }
  .scroll { overflow: visible; } th, td { padding: .15rem .35rem; }
  tr, figure { break-inside: avoid; }
  h2, h3, h4, caption { break-after: avoid; }
  figure img { min-width: 0; } }
""".strip()
