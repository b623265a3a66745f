"""Findings of a study: written as study.json, and rendered from it as summary.md and on a page."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jaxseg import files
from jaxseg.studies.arms import column, spread
from jaxseg.studies.results import Row
from jaxseg.studies.verdicts import Verdict
from jaxseg.training import tables

STUDY = "study.json"
TINY = "tiny"
"""The preset of runs that only show that a study works; no verdict of theirs is counted."""
TOO_SMALL = "A tiny run, which shows that the study works: what it measured shows nothing else."
_DPI = 150


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        title: What it shows, a few words.
        columns: The heads of its columns.
        rows: The cells as text, a row a line.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self):
        """Refuse a row that does not fit the columns."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r}: the row {row} has {len(row)} cells, not "
                    f"{len(self.columns)}."
                )

    @classmethod
    def of(cls, title: str, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> "Table":
        """Build a table from cells of any type.

        Args:
            title: What the table shows, a few words.
            columns: The heads of its columns.
            rows: The cells, a row a line.
        """
        return cls(title, tuple(columns), tuple(tuple(map(str, row)) for row in rows))


def table_by_rate(
    rows: Sequence[Row], names: Sequence[str] = ("arm",), labels: Mapping[str, str] | None = None
) -> Table:
    """Tabulate the outcomes of every net at every learning rate: median and range over the seeds.

    Args:
        rows: Rows of a sweep's results.
        names: Columns that name a net.
        labels: Arm -> its name for people; others are shown as they are.
    """
    labels = labels or {}
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in (*names, "learning_rate")), []).append(row)
    outcomes = ("train_loss", "mean_iou", "pixel_accuracy")
    return Table.of(
        "Every net at every learning rate",
        (*names, "rate", "training loss", "mean IoU", "pixel accuracy"),
        [
            [
                *(labels.get(name, name) for name in net),
                f"{rate:g}",
                *(spread(column(runs, outcome)) for outcome in outcomes),
            ]
            for (*net, rate), runs in groups.items()
        ],
    )


@dataclass(frozen=True)
class Findings:
    """Results of a study, as its page shows them.

    Attributes:
        title: The study's name for people.
        about: Data, nets, steps, seeds: what the numbers hold for, in sentences.
        verdicts: One a claim.
        figures: File name -> caption, in the order of the page.
        tables: Further tables.
        study: The study's name, "dilation".
        command: What runs it.
        preset: The preset that it was run with.
        versions: Of Python and of the packages that decide a result.
        failure: One line on what must not be, such as a number that contradicts an exact theory.
            The study's command fails with it after everything is written.
        drawings: File name -> matplotlib figure, saved by `write`; not part of study.json.
    """

    title: str
    about: str
    verdicts: Sequence[Verdict]
    figures: Mapping[str, str] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    study: str = ""
    command: str = ""
    preset: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    drawings: Mapping[str, Figure] = field(default_factory=dict, repr=False, compare=False)

    def write(self, folder: Path) -> str:
        """Write the figures, summary.md and, last, study.json: it says that the study is finished.

        Returns:
            The text of summary.md.

        Raises:
            ValueError: A figure has a caption and no drawing, or a drawing no caption; or a verdict
                names a figure that is not there.
        """
        unknown = sorted({v.figure for v in self.verdicts if v.figure} - {*self.figures})
        if unknown:
            raise ValueError(
                f"findings: verdicts name the figures {unknown}, but there are {[*self.figures]}."
            )
        if self.drawings and {*self.drawings} != {*self.figures}:
            different = sorted({*self.drawings} ^ {*self.figures})
            raise ValueError(f"findings: {different} need both a caption and a drawing.")
        for name, figure in self.drawings.items():
            buffer = io.BytesIO()
            figure.draw_without_rendering()  # images need two passes until the layout settles
            figure.savefig(buffer, format="png", dpi=_DPI)
            files.write_bytes(folder / name, buffer.getvalue())
        text = self.markdown()
        files.write_text(folder / "summary.md", text)
        plain = {name: value for name, value in vars(self).items() if name != "drawings"}
        plain["verdicts"] = [asdict(verdict) for verdict in self.verdicts]
        plain["tables"] = [asdict(table) for table in self.tables]
        files.write_text(folder / STUDY, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
        return text

    def markdown(self) -> str:
        """Render all but the pictures themselves as Markdown."""
        head = ("claim", "theory", "measured", "seeds", "verdict")
        cells = [
            (f"{v.claim} ({v.source})", v.theory, v.measured, str(v.seeds or "none"), _word(v))
            for v in self.verdicts
        ]
        parts = [f"# {self.title}", self.about]
        parts += [f"**{TOO_SMALL}**"] if self.preset == TINY else []
        parts += [f"**{self.failure}**"] if self.failure else []
        parts += [_markdown_table(head, cells)] if cells else []
        parts += [f"![{_line(caption)}]({name})" for name, caption in self.figures.items()]
        for table in self.tables:
            parts += [f"**{table.title}**", _markdown_table(table.columns, table.rows)]
        return "\n\n".join(parts) + "\n"


def read_findings(folder: Path) -> Findings | None:
    """Read what a study found; None where no study has been finished.

    Args:
        folder: The study's folder.

    Raises:
        ValueError: study.json is damaged, or of another version.
    """
    path = folder / STUDY
    if not path.exists():
        return None
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        plain["verdicts"] = tuple(Verdict(**verdict) for verdict in plain["verdicts"])
        plain["tables"] = tuple(
            Table.of(t["title"], t["columns"], t["rows"]) for t in plain["tables"]
        )
        return Findings(**plain)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): run the study {folder.name} again."
        ) from error


def _word(verdict: Verdict) -> str:
    return f"{verdict.verdict} (exploratory)" if verdict.exploratory else verdict.verdict


def _markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = " | ".join(map(_cell, columns))
    return "\n".join(tables.markdown_table(head, (" | ".join(map(_cell, row)) for row in rows)))


def _cell(text: str) -> str:
    """Escape what divides cells, and keep the text on one line."""
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())
