"""Frame and style of the page: for a projector, a phone of 390 pixels, paper, light and dark."""

STYLE = """
:root { color-scheme: light dark; --page: #fbfbf9; --card: #fff; --ink: #1c1e21; --soft: #5b6169;
  --line: #d9dbde; --link: #0b5fa5; --good: #0f6b45; --bad: #b3261e; --open: #7a5200;
  --good-bg: #e2f3ea; --bad-bg: #fbe5e3; --open-bg: #f8eed9 }
@media (prefers-color-scheme: dark) { :root { --page: #16181b; --card: #1f2226; --ink: #e8eaed;
  --soft: #a5abb3; --line: #3a3f45; --link: #7fb8ea; --good: #6fd3a2; --bad: #ff9d94;
  --open: #e3b65c; --good-bg: #17352a; --bad-bg: #42201d; --open-bg: #3a2e14 } }
* { box-sizing: border-box }
html { scroll-padding-top: 4rem; -webkit-text-size-adjust: 100% }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 17px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
a { color: var(--link) } sup, sub { font-size: .72em; line-height: 0 }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .6rem }
h2 { font-size: 1.55rem; line-height: 1.25; margin: 0 0 .5rem }
h3 { font-size: 1.08rem; line-height: 1.35; margin: .35rem 0 .5rem }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere }
nav { position: sticky; top: 0; z-index: 2; background: var(--page);
  border-bottom: 1px solid var(--line) }
nav ol { display: flex; gap: .2rem; overflow-x: auto; list-style: none; margin: 0;
  padding: .35rem .6rem }
nav a { display: block; padding: .4rem .6rem; border-radius: .4rem; white-space: nowrap;
  color: var(--ink); text-decoration: none; font-size: .9rem }
nav a:hover, nav a:focus { background: var(--card); color: var(--link) }
nav i { font-style: normal; white-space: nowrap } nav b { font-size: .78rem; margin-left: .3rem }
main { padding: 1rem 1rem 4rem; min-width: 0 }
section { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1.6rem }
.about { color: var(--soft); max-width: 50rem; margin: 0 0 1.2rem }
.small { font-size: .84rem; color: var(--soft); margin: .4rem 0 0; overflow-wrap: anywhere }
.up { text-align: right }
.count, .badge { display: inline-block; border-radius: 1rem; padding: .08rem .65rem;
  font-size: .88rem; font-weight: 650; white-space: nowrap; margin: .1rem .3rem .1rem 0 }
b.agrees { color: var(--good) } b.disagrees { color: var(--bad) } b.not-shown { color: var(--open) }
.count.agrees, .badge.agrees { color: var(--good); background: var(--good-bg) }
.count.disagrees, .badge.disagrees { color: var(--bad); background: var(--bad-bg) }
.count.not-shown, .badge.not-shown { color: var(--open); background: var(--open-bg) }
.badge.exploratory { color: var(--soft); border: 1px dashed var(--soft) }
.badge.tiny { color: var(--bad); border: 1px solid var(--bad) }
b.tiny, p.tiny, p.failure { color: var(--bad); font-weight: 650 }
.meaning { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem;
  font-size: .92rem; margin: .8rem 0 .4rem; max-width: 50rem }
.meaning dt { font-weight: 650 } .meaning dd { margin: 0 }
.missing { border-left: 3px solid var(--open); padding: .1rem .9rem; margin-top: 1rem }
.missing p { font-weight: 650; margin: .3rem 0 } .missing ul { margin: 0; padding-left: 1.1rem }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0;
  background: var(--card) }
summary { cursor: pointer; padding: .55rem .9rem; font-weight: 600 }
summary h3 { display: inline; margin-right: .4rem }
.claims-list { list-style: none; margin: 0; padding: 0 .9rem .6rem }
.claims-list li { padding: .35rem 0; border-top: 1px solid var(--line) }
.claims-list a { color: inherit; text-decoration-color: var(--line) }
.group { margin: 0 0 1.6rem }
.cards { display: grid; gap: .8rem }
.card { background: var(--card); border: 1px solid var(--line); border-left: .35rem solid;
  border-radius: .5rem; padding: .7rem 1rem .8rem; overflow-wrap: break-word; min-width: 0 }
.card.agrees { border-left-color: var(--good) } .card.disagrees { border-left-color: var(--bad) }
.card.not-shown { border-left-color: var(--open) } .card.tiny { border-left-color: var(--line) }
.card:target { outline: 3px solid var(--link) }
.card p { margin: 0 } .card dl { margin: 0; font-size: .92rem }
.card dt { font-weight: 650; font-size: .78rem; letter-spacing: .03em; color: var(--soft) }
.card dd { margin: 0 0 .4rem }
.card ul { margin: 0; padding-left: 1.1rem; columns: 12rem auto; column-gap: 1.6rem }
.card li { break-inside: avoid }
figure { margin: 0 0 .9rem } details figure { margin: .4rem .9rem 1rem }
.paper { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; background: #fff }
.paper img { display: block; width: 100%; min-width: var(--least); max-width: 60rem;
  margin: 0 auto }
figcaption { font-size: .9rem; color: var(--soft); margin-top: .4rem; max-width: 50rem }
.wide { overflow-x: auto; padding: 0 .9rem .7rem }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid var(--line); padding: .35em .7em; text-align: left;
  vertical-align: top; min-width: 4.5rem } th { vertical-align: bottom }
td:first-child, th:first-child { position: sticky; left: 0; background: var(--card) }
@media (min-width: 72rem) {
  .layout { display: grid; grid-template-columns: 17rem minmax(0, 1fr); max-width: 100rem;
    margin: 0 auto }
  html { scroll-padding-top: 1rem }
  nav { align-self: start; border: 0; height: 100vh; overflow-y: auto; padding: 1.2rem 0 }
  nav ol { flex-direction: column } nav a { white-space: normal; line-height: 1.35 }
  main { padding: 1.6rem 2rem 4rem }
  .group:not(.bare) { display: grid; grid-template-columns: minmax(0, 1.35fr) minmax(19rem, 1fr);
    gap: 1.3rem; align-items: start }
  .group:not(.bare) figure { position: sticky; top: 1rem }
  .group.bare .cards { grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)) }
  .paper img { min-width: 0 }
}
@media print {
  :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --soft: #444;
    --line: #bbb; --link: #000; --good: #0f6b45; --bad: #b3261e; --open: #7a5200;
    --good-bg: #e2f3ea; --bad-bg: #fbe5e3; --open-bg: #f8eed9 }
  @page { size: A4; margin: 14mm }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
  body { font-size: 10pt } .layout { display: block } main { padding: 0 }
  nav { position: static; height: auto; border: 0; overflow: visible }
  nav ol { display: block; columns: 2 } nav a { padding: .1rem 0; white-space: normal }
  section { break-before: page; border: 0; margin: 0; padding: 0 }
  #claims { break-before: auto }
  .group, .group:not(.bare) { display: block }
  .group:not(.bare) figure { position: static }
  .cards, .group.bare .cards { grid-template-columns: 1fr 1fr; gap: .5rem }
  .card, figure, tr { break-inside: avoid } h2, h3, summary { break-after: avoid }
  figure { max-width: 150mm } .paper, .wide { overflow: visible } .paper img { min-width: 0 }
  nav li:nth-child(-n + 2), .up { display: none } #claims details::details-content { display: none }
  section:not(#claims) details::details-content { content-visibility: visible; display: block }
  details { border: 0 }
  table { font-size: 6.5pt } th, td { padding: .2em .4em; min-width: 0; overflow-wrap: anywhere }
}
"""
FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><div class="layout"><nav aria-label="Contents"><ol><li><a href="#top">Top</a></li>
<li><a href="#claims">Claims</a></li>{contents}</ol></nav><main>{body}</main></div></body></html>
"""
