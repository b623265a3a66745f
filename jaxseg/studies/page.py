"""The findings of several studies on one page of HTML, which needs no other file."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from jaxseg.studies._page_style import FRAME, STYLE
from jaxseg.studies._page_text import escape, listed, marked
from jaxseg.studies.findings import TINY, TOO_SMALL, Findings, Table
from jaxseg.studies.verdicts import Judgment, Verdict

TINY_ONLY = '<b class="tiny">tiny runs only</b>'
SYMBOLS = {"agrees": "✓", "disagrees": "✗", "not shown": "?"}
"""Verdict -> its sign, so that color alone does not tell."""
PLURALS = {"agrees": "agree", "disagrees": "disagree"}
MEANING = {
    "agrees": "theory and measurement meet within the stated tolerance.",
    "disagrees": "they differ by more than the measurement's own spread.",
    "not shown": "this scale or these seeds cannot tell.",
    "exploratory": "the analysis was chosen after the data had been looked at.",
}


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
    studies = list(findings.values())
    commands = "".join(f"<li><code>{escape(command)}</code></li>" for command in missing)
    lost = f'<div class="missing"><p>Not run, so not here:</p><ul>{commands}</ul></div>'
    meaning = "".join(f"<dt>{word}</dt><dd>{text}</dd>" for word, text in MEANING.items())
    sections = "".join(_section(folder, study) for folder, study in findings.items())
    return FRAME.format(
        title=escape(title),
        style=STYLE,
        contents="".join(map(_entry, studies)),
        body=f'<header id="top"><h1>{escape(title)}</h1>{_totals(studies)}'
        f'<dl class="meaning">{meaning}</dl><p class="small">Theory is drawn, never fitted; '
        f"published numbers are named as such.</p>{lost if commands else ''}</header>"
        f'<section id="claims"><h2>The claims, heading by heading</h2>'
        f"{_claims_by_heading(studies, headings)}</section>{sections}",
    )


def _totals(studies: Sequence[Findings]) -> str:
    """Count the verdicts of each preset; those of tiny runs are not counted."""
    lines = []
    for preset in dict.fromkeys(study.preset for study in studies):
        chosen = [study for study in studies if study.preset == preset]
        number = sum(len(study.verdicts) for study in chosen)
        noun = "study" if len(chosen) == 1 else "studies"
        if preset == TINY:
            names = ", ".join(escape(study.title) for study in chosen)
            lines.append(
                f'<p class="tiny">{len(chosen)} {noun} at the preset <code>{TINY}</code>: '
                f"{number} verdicts that show nothing and are not counted ({names}).</p>"
            )
            continue
        counts = _counts([verdict for study in chosen for verdict in study.verdicts])
        lines.append(
            f"<p>{len(chosen)} {noun} at the preset <code>{escape(preset)}</code>: "
            f"{number} claims {counts}</p>"
        )
    return "".join(lines)


def _counts(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdict.verdict for verdict in verdicts)
    return "".join(
        f'<span class="count {_kind(word)}">{SYMBOLS[word]} {counts[word]} '
        f"{PLURALS.get(word, word) if counts[word] > 1 else word}</span>"
        for word in get_args(Judgment)
        if counts[word]
    )


def _kind(word: str) -> str:
    return word.replace(" ", "-")


def _entry(study: Findings) -> str:
    """Render a line of the contents."""
    counts = Counter(verdict.verdict for verdict in study.verdicts)
    signs = "".join(
        f'<b class="{_kind(word)}">{counts[word]}{SYMBOLS[word]}</b>'
        for word in get_args(Judgment)
        if counts[word]
    )
    if study.preset == TINY:
        signs = f'<b class="tiny">{TINY}</b>'
    return f'<li><a href="#{escape(study.study)}">{escape(study.title)} <i>{signs}</i></a></li>'


def _claims_by_heading(studies: Sequence[Findings], headings: Sequence[str]) -> str:
    """Render a folded list of claims a heading, with links to their cards."""
    lines: dict[str, list[str]] = {heading: [] for heading in headings}
    counted: dict[str, list[Verdict]] = {}
    for study in studies:
        for number, verdict in enumerate(study.verdicts):
            link = f'<a href="#{escape(_anchor(study, number))}">{marked(verdict.claim)}</a>'
            badge = _badge(study, verdict)
            lines.setdefault(verdict.heading, []).append(f"<li>{badge} {link}</li>")
            counted.setdefault(verdict.heading, [])
            counted[verdict.heading] += [] if study.preset == TINY else [verdict]
    return "".join(
        f"<details><summary><h3>{escape(heading)}</h3> "
        f"{_counts(counted[heading]) or TINY_ONLY}</summary>"
        f'<ul class="claims-list">{"".join(items)}</ul></details>'
        for heading, items in lines.items()
        if items
    )


def _anchor(study: Findings, number: int) -> str:
    return f"{study.study}-{number + 1}"


def _badge(study: Findings, verdict: Verdict) -> str:
    """Render a verdict's word; a tiny run's is red and says so."""
    if study.preset == TINY:
        return f'<span class="badge tiny">{TINY} run: {verdict.verdict}</span>'
    word = verdict.verdict
    return f'<span class="badge {_kind(word)}">{SYMBOLS[word]} {word}</span>'


def _section(folder: Path, study: Findings) -> str:
    """Render one study: what was done, its claims beside their figures, its tables folded."""
    versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    command = f"<code>{escape(study.command)}</code> " if study.command else ""
    warning = f'<p class="tiny">{TOO_SMALL}</p>' if study.preset == TINY else ""
    failure = f'<p class="failure">{marked(study.failure)}</p>' if study.failure else ""
    shown = dict.fromkeys(verdict.figure for verdict in study.verdicts)
    groups = "".join(_group(folder, study, name) for name in shown)
    further = [_figure(folder, *item) for item in study.figures.items() if item[0] not in shown]
    return (
        f'<section id="{escape(study.study)}"><h2>{marked(study.title)}</h2>{warning}{failure}'
        f'<p class="about">{marked(study.about[:1].upper() + study.about[1:])}</p>{groups}'
        + _folded(f"Further figures ({len(further)})", "".join(further))
        + "".join(_folded(marked(table.title), _table(table)) for table in study.tables)
        + f'<p class="small">{command}(preset {escape(study.preset)}; {escape(versions)})</p>'
        '<p class="small up"><a href="#top">Contents ↑</a></p></section>'
    )


def _group(folder: Path, study: Findings, name: str) -> str:
    """Render a figure beside the cards of the claims that it shows."""
    cards = "".join(
        _card(study, number, verdict)
        for number, verdict in enumerate(study.verdicts)
        if verdict.figure == name
    )
    figure = _figure(folder, name, study.figures.get(name, "")) if name else ""
    kind = "group" if name else "group bare"
    return f'<div class="{kind}">{figure}<div class="cards">{cards}</div></div>'


def _card(study: Findings, number: int, verdict: Verdict) -> str:
    """Render a claim: the verdict first, then the claim, theory and measurement."""
    seeds = "exact: nothing is drawn" if not verdict.seeds else f"{verdict.seeds} seeds"
    notes = [marked(verdict.source), "1 seed" if verdict.seeds == 1 else seeds]
    kind = TINY if study.preset == TINY else _kind(verdict.verdict)
    exploratory = ' <span class="badge exploratory">exploratory</span>'
    return (
        f'<article class="card {kind}" id="{escape(_anchor(study, number))}">'
        f"<p>{_badge(study, verdict)}{exploratory if verdict.exploratory else ''}</p>"
        f"<h3>{marked(verdict.claim)}</h3>"
        f"<dl><dt>Theory</dt><dd>{listed(verdict.theory)}</dd>"
        f"<dt>Measured</dt><dd>{listed(verdict.measured)}</dd></dl>"
        f'<p class="small">{" · ".join(notes)}</p></article>'
    )


def _figure(folder: Path, name: str, caption: str) -> str:
    """Render a figure with its bytes inside the page."""
    path = folder / name
    if Path(name).name != name or path.suffix != ".png" or not path.is_file():
        raise ValueError(f"{path} is no picture beside its study.json: run {folder.name} again.")
    picture = path.read_bytes()
    # Half of the picture's own width: narrower, its letters could not be read; a phone scrolls.
    least = int.from_bytes(picture[16:20], "big") // 2
    content = base64.b64encode(picture).decode()
    return (
        f'<figure><div class="paper"><img src="data:image/png;base64,{content}" '
        f'style="--least:{least}px" alt="{escape(caption)}"></div>'
        f"<figcaption>{marked(caption)}</figcaption></figure>"
    )


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>" if content else ""


def _table(table: Table) -> str:
    head = "".join(f"<th>{marked(column)}</th>" for column in table.columns)
    rows = (
        "<tr>" + "".join(f"<td>{marked(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
