"""The lecture, measured: the verdicts and figures of all studies on one page.

    python experiments/report.py                      gather what is in runs/ into runs/report.html
    python experiments/report.py --make               run first what is missing, at `quick`

Every study leaves a folder with verdicts.csv, summary.md and its figures; the page holds them all,
in the lecture's order, and needs nothing beside it: the figures are inside. What was not run is
named with the command that runs it. On two cores `--make` takes about half an hour in all; a study
that is there already is not run again.
"""

import base64
import html
import re
import subprocess
import sys
import urllib.parse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import studies
from markdown_it import MarkdownIt

from jaxseg.training import records

HERE = Path(__file__).parent
STUDIES = (
    "receptive_field",
    "dilation",
    "output_stride",
    "upconvolution",
    "depth_scaling",
    "trainability",
    "gradient_norms",
    "paths",
    "landscape",
    "long_skips",
)
"""In the lecture's order; each is a script of its name and a folder of `runs`."""
ANEW = ("receptive_field",)
"""Those that know no --resume: they measure everything again."""
MEANING = (
    "*agrees*: theory and measurement meet within the tolerance beside them. *disagrees*: they "
    "differ by more than the measurement's own spread. *not shown*: this scale or these seeds "
    "cannot tell. Theory is drawn, never fitted; published numbers are named as such."
)


@dataclass(frozen=True)
class Config:
    """What is gathered.

    Attributes:
        runs: the folder with one folder a study.
        out: the page.
        make: run the studies that are not there.
        with_preset: the preset of those.
    """

    preset: str = "quick"
    runs: Path = Path("runs")
    out: Path = Path("runs/report.html")
    make: bool = False
    with_preset: str = "quick"


PRESETS = {"quick": Config()}


@dataclass(frozen=True)
class Study:
    """What one study left.

    Attributes:
        name: its script's.
        verdicts: rows of verdicts.csv.
        summary: the text of summary.md without its title and the table of verdicts.
        title: that of summary.md.
        folder: where its figures are.
        made: preset and versions.
    """

    name: str
    verdicts: list[dict[str, str]]
    summary: str
    title: str
    folder: Path
    made: str


def main(config: Config) -> None:
    """Gather the studies and write the page."""
    if config.make:
        for name in STUDIES:
            make(name, config)
    found = {name: read(config.runs / name) for name in STUDIES}
    there = [study for study in found.values() if study is not None]
    missing = [name for name, study in found.items() if study is None]
    if not there:
        raise ValueError(
            f"{config.runs} holds no study: run some, e.g. `{_command(STUDIES[0])}`, or all with "
            "--make."
        )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    records.write_text(config.out, page(there, missing))
    counts = Counter(v["verdict"] for study in there for v in study.verdicts)
    print(", ".join(f"{word}: {number}" for word, number in sorted(counts.items())))
    print(f"Not run: {', '.join(missing) or 'none'}. Page: {config.out}")


def make(name: str, config: Config) -> None:
    """Run a study whose verdicts are not there, going on where an earlier run stopped."""
    folder = config.runs / name
    if (folder / "verdicts.csv").exists():
        return
    words = ["--preset", config.with_preset, "--out", str(folder)]
    begun = (folder / "results.csv").exists() and name not in ANEW
    words += ["--resume"] if begun else []
    print(f"== {name}", flush=True)
    status = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *words]).returncode
    if status:
        raise SystemExit(f"report: {name} ended with status {status}; it is said above why.")


def read(folder: Path) -> Study | None:
    """What a study left in a folder; None where nothing is.

    Raises:
        ValueError: the files are damaged or missing, or a verdict has a heading or a word that the
            page does not know, where it would be counted and not shown.
    """
    if not (folder / "verdicts.csv").exists():
        return None
    verdicts = records.read_csv(folder / "verdicts.csv", dict.fromkeys(studies.VERDICTS, str))
    for key, known in (("heading", studies.Heading), ("verdict", studies.Judgement)):
        unknown = sorted({v[key] for v in verdicts} - {*get_args(known)})
        if unknown:
            raise ValueError(
                f"{folder / 'verdicts.csv'} has the {key} {unknown[0]!r}, which is none of "
                f"{', '.join(get_args(known))}: run {folder.name} again."
            )
    try:
        text = (folder / "summary.md").read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{folder / 'summary.md'} cannot be read ({error}): run {folder.name} again."
        ) from error
    made = records.read_config(folder / "config.json")
    said = made.get("versions")
    versions = ", ".join(f"{k} {v}" for k, v in (said if isinstance(said, dict) else {}).items())
    title, _, rest = text.removeprefix("# ").partition("\n")
    return Study(
        name=folder.name,
        verdicts=verdicts,
        summary=_without_verdicts(rest),
        title=title,
        folder=folder,
        made=f"preset {made.get('preset') or 'none'}; {versions}",
    )


def page(found: Sequence[Study], missing: Sequence[str]) -> str:
    """The page as HTML, whole in itself."""
    counts = Counter(v["verdict"] for study in found for v in study.verdicts)
    total = ", ".join(f"{w}: {counts[w]}" for w in get_args(studies.Judgement) if counts[w])
    parts = ["# The lecture, measured", f"{counts.total()} claims ({total}).", MEANING]
    if missing:
        commands = "; ".join(f"`{_command(name)}`" for name in missing)
        parts.append(f"**Not run, so not here:** {commands}.")
    parts.append("## Verdicts")
    for heading in get_args(studies.Heading):
        lines = [
            " | ".join(
                [
                    f"[{_cell(v['claim'])}](#{study.name}) ({_cell(v['source'])})",
                    *(_cell(v[key]) for key in ("theory", "measured", "seeds", "verdict")),
                ]
            )
            for study in found
            for v in study.verdicts
            if v["heading"] == heading
        ]
        if lines:
            head = "claim | theory | measured | seeds | verdict"
            parts += [f"### {heading}", "\n".join(records.markdown_table(head, lines))]
    body = _html("\n\n".join(parts)) + "".join(_section(study) for study in found)
    for word in get_args(studies.Judgement):
        body = body.replace(f"<td>{word}</td>", f'<td class="{word.replace(" ", "-")}">{word}</td>')
    return _FRAME.format(style=_STYLE, body=body)


def _section(study: Study) -> str:
    """One study: its title, text and figures."""
    body = _html(study.summary)
    # Of the page and not of the text, whose captions may hold brackets.
    named = {_name(source) for source in re.findall(r'<img src="([^"]+)"', body)}
    more = sorted(p.name for p in study.folder.glob("*.png") if p.name not in named)
    # A name between < and > may hold blanks.
    text = "".join(f"![{Path(name).stem.replace('_', ' ')}](<{name}>)\n\n" for name in more)
    body += _html(f"{text}`{_command(study.name)}` ({study.made})")
    body = re.sub(
        r'<p><img src="([^"]+)" alt="([^"]*)" ?/?></p>',
        lambda found: _figure(study.folder, found[1], found[2]),
        body,
    )
    # What stands within a line of text.
    body = re.sub(
        r'<img src="(?!data:)([^"]+)"',
        lambda found: f'<img src="{_content(study.folder, found[1])}"',
        body,
    )
    return f'<section id="{study.name}"><h2>{html.escape(study.title)}</h2>{body}</section>'


def _figure(folder: Path, source: str, caption: str) -> str:
    """A figure with its bytes inside."""
    return (
        f'<figure><img src="{_content(folder, source)}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _content(folder: Path, source: str) -> str:
    """A picture of the study's own folder, and none from elsewhere, as an address."""
    name = _name(source)
    if Path(name).name != name or Path(name).suffix != ".png":
        raise ValueError(
            f"{name} is named in {folder / 'summary.md'}: give the name of a .png beside it."
        )
    path = folder / name
    if not path.is_file():
        raise ValueError(f"{path} is named in the summary beside it and missing: run it again.")
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _name(source: str) -> str:
    """The file's name behind an address in HTML."""
    return urllib.parse.unquote(html.unescape(source))


def _html(text: str) -> str:
    """Markdown with tables; HTML in it is shown, not obeyed. A wide table scrolls by itself."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return body.replace("<table>", '<div class="wide"><table>').replace(
        "</table>", "</table></div>"
    )


def _without_verdicts(text: str) -> str:
    """The summary without its table of verdicts, which the page shows at its top."""
    table = re.compile(r"^\| claim \| theory \|.*\n(?:\|.*\n?)*", re.MULTILINE)
    return table.sub("", text, count=1).strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _command(name: str) -> str:
    return f"python experiments/{name}.py"


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
<title>The lecture, measured</title><style>{style}</style></head>
<body>{body}</body></html>
"""


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line, run, and say what is wrong in one line where something is."""
    studies.run(main, PRESETS, name="report", description=__doc__, args=args)


if __name__ == "__main__":
    command()
