"""The findings of several studies on one page of HTML, which needs no other file."""

import base64
import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from jaxseg.studies.findings import Findings, Table
from jaxseg.studies.verdicts import Judgment, Verdict

MEANING = (
    "<p><em>agrees</em>: theory and measurement meet within the stated tolerance. "
    "<em>disagrees</em>: they differ by more than the measurement's own spread. "
    "<em>not shown</em>: this scale or these seeds cannot tell. <em>exploratory</em>: the analysis "
    "was chosen after the data had been looked at. Theory is drawn, never fitted; published "
    "numbers are named as such.</p>"
)


def render(
    title: str,
    findings: Mapping[Path, Findings],
    *,
    headings: Sequence[str] = (),
    missing: Iterable[str] = (),
) -> str:
    """Render a page.

    Args:
        title: Title of the page.
        findings: Folder of a study -> what it found, in the order of the page.
        headings: Order of the verdicts' headings; others follow.
        missing: Commands of studies that were not run.

    Raises:
        ValueError: A figure is missing, or named outside of its study's folder.
    """
    verdicts = [verdict for study in findings.values() for verdict in study.verdicts]
    counts = Counter(verdict.verdict for verdict in verdicts)
    total = ", ".join(f"{word}: {counts[word]}" for word in get_args(Judgment) if counts[word])
    commands = "; ".join(f"<code>{html.escape(command)}</code>" for command in missing)
    sections = "".join(_section(folder, study) for folder, study in findings.items())
    body = (
        f"<h1>{html.escape(title)}</h1><p>{len(verdicts)} claims ({total}).</p>{MEANING}"
        + (f"<p><strong>Not run, so not here:</strong> {commands}.</p>" if commands else "")
        + "<h2>Verdicts</h2>"
        + _verdict_tables(list(findings.values()), headings)
        + sections
    )
    return _FRAME.format(title=html.escape(title), style=_STYLE, body=body)


def _verdict_tables(studies: Sequence[Findings], headings: Sequence[str]) -> str:
    """Render a table of verdicts a heading."""
    rows: dict[str, list[str]] = {heading: [] for heading in headings}
    for study in studies:
        for verdict in study.verdicts:
            rows.setdefault(verdict.heading, []).append(_verdict_row(study, verdict))
    columns = ("claim", "theory", "measured", "seeds", "verdict")
    return "".join(
        f"<h3>{html.escape(heading)}</h3>{_table(columns, lines)}"
        for heading, lines in rows.items()
        if lines
    )


def _verdict_row(study: Findings, verdict: Verdict) -> str:
    claim = (
        f'<a href="#{html.escape(study.study)}">{html.escape(verdict.claim)}</a> '
        f"({html.escape(verdict.source)})"
    )
    kind = verdict.verdict.replace(" ", "-")
    word = verdict.verdict + ("<br><small>exploratory</small>" if verdict.exploratory else "")
    plain = (verdict.theory, verdict.measured, str(verdict.seeds or "none"))
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in plain)
    return f'<tr><td>{claim}</td>{cells}<td class="{kind}">{word}</td></tr>'


def _section(folder: Path, study: Findings) -> str:
    """Render one study: its text, figures and tables."""
    versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    figures = "".join(_figure(folder, *figure) for figure in study.figures.items())
    tables = "".join(_titled(table) for table in study.tables)
    command = f"<code>{html.escape(study.command)}</code> " if study.command else ""
    failure = f"<p><strong>{html.escape(study.failure)}</strong></p>" if study.failure else ""
    return (
        f'<section id="{html.escape(study.study)}"><h2>{html.escape(study.title)}</h2>'
        f"<p>{html.escape(study.about)}</p>{failure}{figures}{tables}"
        f"<p>{command}(preset {html.escape(study.preset)}; {html.escape(versions)})</p></section>"
    )


def _figure(folder: Path, name: str, caption: str) -> str:
    """Render a figure with its bytes inside the page."""
    path = folder / name
    if Path(name).name != name or path.suffix != ".png" or not path.is_file():
        raise ValueError(f"{path} is no picture beside its study.json: run {folder.name} again.")
    content = base64.b64encode(path.read_bytes()).decode()
    text = html.escape(caption)
    return (
        f'<figure><img src="data:image/png;base64,{content}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _titled(table: Table) -> str:
    lines = (
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    return f"<h3>{html.escape(table.title)}</h3>{_table(table.columns, lines)}"


def _table(columns: Sequence[str], lines: Iterable[str]) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #b3261e; --open: #9a6700 }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff8182; --open: #d4a72c } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: .2em } section { border-top: 1px solid var(--line); margin-top: 3rem }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .9em }
th, td { border-bottom: 1px solid var(--line); padding: .35em .6em; text-align: left;
         vertical-align: top }
td.agrees { color: var(--good); font-weight: 600; white-space: nowrap }
td.disagrees { color: var(--bad); font-weight: 600; white-space: nowrap }
td.not-shown { color: var(--open); font-weight: 600; white-space: nowrap }
figure { margin: 1.5rem 0 } figure img { max-width: 100%; background: #fff }
figcaption { font-size: .9em; opacity: .8 } code { font-size: .9em }
"""
_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body>{body}</body></html>
"""
