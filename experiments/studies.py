"""What every study shares: its command line, a table that survives a kill, and its verdicts.

A study states claims. Each has a source, what theory says, what was measured, over how many seeds,
and a verdict; `summary.md` shows them to a reader and `verdicts.csv` keeps them for `report.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from jaxseg import cli, files
from jaxseg.training import records

Config = TypeVar("Config")
Heading = Literal[
    "Receptive field: striding and dilation",
    "Segmentation",
    "Dilation",
    "Upconvolution",
    "Residual connections",
    "Deep networks are hard to train",
    "Residual connections: the gradient",
    "Upconvolution with residual connections",
]
"""The lecture's headings, in its order."""
Judgement = Literal["agrees", "disagrees", "not shown"]
WRITTEN = ("results.csv", "verdicts.csv", "summary.md", "*.png")


@dataclass(frozen=True)
class Verdict:
    """A claim and what became of it.

    Attributes:
        heading: of the lecture.
        claim: one sentence, in words.
        source: who said so ("He et al. 2016"), or "derived".
        theory: what is expected, with its unit and tolerance.
        measured: what was found, likewise.
        seeds: independent draws behind it; 0 where nothing was drawn.
        verdict: "agrees"; "disagrees", where the measurement contradicts the claim by more than its
            own spread; "not shown", where this scale or these seeds cannot tell.
    """

    heading: Heading
    claim: str
    source: str
    theory: str
    measured: str
    seeds: int
    verdict: Judgement


VERDICTS = tuple(field.name for field in fields(Verdict))


class Table:
    """Rows that are on the disk as soon as they are known.

    Args:
        path: a CSV file.
        columns: name -> the type of its values.
        resume: begin with the rows that are there.
    """

    def __init__(self, path: Path, columns: Mapping[str, type], *, resume: bool):
        self.path, self.columns = path, columns
        self.rows = records.read_csv(path, columns) if resume and path.exists() else []

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Append rows and write the file, whole or not at all."""
        self.rows += [dict(row) for row in rows]
        records.write_csv(self.path, list(self.columns), self.rows)

    def has(self, **values: Any) -> bool:
        """Whether a row with these values is there."""
        return any(all(row[k] == v for k, v in values.items()) for row in self.rows)


def judged(agrees: bool | None) -> Judgement:
    """True, False, or None where it cannot be told."""
    return "not shown" if agrees is None else "agrees" if agrees else "disagrees"


def write_summary(
    folder: Path,
    *,
    title: str,
    about: str,
    verdicts: Sequence[Verdict],
    figures: Mapping[str, str] | None = None,
    tables: Sequence[Sequence[str]] = (),
) -> str:
    """Write `summary.md` and `verdicts.csv`, which says that the study is finished: call it last.

    Args:
        folder: of the study.
        title: its name, for people.
        about: data, nets, steps, seeds: what the numbers hold for, as sentences.
        verdicts: see `Verdict`.
        figures: name of a file in the folder -> what the figure shows, in the order of the page.
        tables: further ones, each the lines of `records.markdown_table`.

    Returns:
        the text of `summary.md`.
    """
    head = "claim | theory | measured | seeds | verdict"
    lines = [
        " | ".join(
            _cell(text)
            for text in (f"{v.claim} ({v.source})", v.theory, v.measured, str(v.seeds), v.verdict)
        )
        for v in verdicts
    ]
    pictures = [[f"![{_line(caption)}]({name})"] for name, caption in (figures or {}).items()]
    parts = [[f"# {title}"], [about], records.markdown_table(head, lines), *pictures, *tables]
    text = "\n\n".join("\n".join(part) for part in parts) + "\n"
    files.write_text(folder / "summary.md", text)
    # Last: that it is there says that the study is finished.
    records.write_csv(folder / "verdicts.csv", VERDICTS, [asdict(v) for v in verdicts])
    return text


def _cell(text: str) -> str:
    """One line without the sign that divides cells."""
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())


def run(
    main: Callable[[Config], None],
    presets: Mapping[str, Config],
    *,
    name: str,
    description: str | None,
    args: Sequence[str] | None = None,
    default: str = "quick",
) -> None:
    """Read the command line, run, and say what is wrong in one line where something is.

    Args:
        main: the study.
        presets: name -> configuration.
        name: the script's, for its errors.
        description: shown by `--help`.
        args: the command line without the program's name; None reads `sys.argv`.
        default: the preset used where none is named.
    """
    try:
        main(cli.parse(presets, default, description=description, args=args))
    except ValueError as error:
        raise SystemExit(f"{name}: {error}") from error
