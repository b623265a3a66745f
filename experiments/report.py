"""The lecture, measured: the verdicts and figures of all studies on one page.

    python -m experiments.report                 gather what is in runs/ into runs/report.html
    python -m experiments.report --make          run first what is missing, at `quick`

Every study leaves a folder with study.json and its figures. The page holds them all, in the
lecture's order, each claim beside the figure that shows it, and needs no other file. It is made for
a projector, a phone and paper. A study that was not run is named with the command that runs it, and
one that was run at `tiny` is marked and not counted. `--make` takes about half an hour in all on
two cores; a study that is there already is not run again.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxseg.startup import launch

if TYPE_CHECKING:
    from jaxseg.studies import Findings

HERE = Path(__file__).parent
HEADINGS = (
    "Receptive field: striding and dilation",
    "Segmentation",
    "Dilation",
    "Upconvolution",
    "Residual connections",
    "Deep networks are hard to train",
    "Residual connections: the gradient",
    "Upconvolution with residual connections",
)
"""The lecture's headings, in its order."""


@dataclass(frozen=True)
class Config:
    """Configuration of the report.

    Attributes:
        preset: The preset that the other values come from.
        runs: The folder that holds a folder for each study.
        out: The page.
        make: Run the studies that are not there.
        with_preset: The preset that these are run with.
    """

    preset: str = "quick"
    runs: Path = Path("runs")
    out: Path = Path("runs/report.html")
    make: bool = False
    with_preset: str = "quick"


PRESETS = {"quick": Config()}


def studies() -> list[str]:
    """List the studies: the folders beside this file that hold one."""
    return sorted(path.parent.name for path in HERE.glob("*/study.py"))


def main(config: Config) -> None:
    """Gather the studies and write the page.

    Raises:
        ValueError: There is no study, or one is damaged.
    """
    from jaxseg import files
    from jaxseg.studies import read_findings, render

    if config.make:
        for name in studies():
            make(name, config)
    read = {name: read_findings(config.runs / name) for name in studies()}
    missing = [name for name, findings in read.items() if findings is None]
    finished = {config.runs / name: findings for name, findings in read.items() if findings}
    finished = dict(sorted(finished.items(), key=lambda item: _place(item[1])))
    if not finished:
        raise ValueError(
            f"{config.runs} holds no study: run one, such as `{program(missing[0])}`, or all of "
            "them with --make."
        )
    page = render(
        "The lecture, measured", finished, headings=HEADINGS, missing=map(program, missing)
    )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(config.out, page)
    print(*_counts(list(finished.values())), sep="\n")
    print(f"Not run: {', '.join(missing) or 'none'}.\nThe page is\n{config.out.resolve()}")


def _counts(studies: "Sequence[Findings]") -> list[str]:
    """Count the verdicts in a line a preset: those of tiny runs are not counted."""
    from jaxseg.studies.findings import TINY

    lines = []
    for preset in dict.fromkeys(study.preset for study in studies):
        chosen = [study for study in studies if study.preset == preset]
        counts = Counter(v.verdict for study in chosen for v in study.verdicts)
        words = ", ".join(f"{word}: {number}" for word, number in sorted(counts.items()))
        lines.append(
            f"{preset} ({len(chosen)} of the studies): "
            + ("shows nothing, not counted" if preset == TINY else words)
        )
    return lines


def _place(findings: "Findings") -> int:
    """Return the number of the first of the lecture's headings that a study speaks to."""
    places = [HEADINGS.index(v.heading) for v in findings.verdicts if v.heading in HEADINGS]
    return min(places, default=len(HEADINGS))


def make(name: str, config: Config) -> None:
    """Run a study that is not finished, going on where an earlier run stopped.

    Raises:
        SystemExit: The study failed.
    """
    folder = config.runs / name
    if (folder / "study.json").exists():
        return
    print(f"== {name}", flush=True)
    words = ["--preset", config.with_preset, "--out", str(folder)]
    words += ["--resume"] if (folder / "config.json").exists() else []
    status = subprocess.run([sys.executable, "-m", f"experiments.{name}", *words]).returncode
    if status:
        raise SystemExit(f"report: {name} ended with status {status}; see its message above.")


def program(name: str) -> str:
    """Give the command that runs a study."""
    return f"python -m experiments.{name}"


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line and write the page."""
    from jaxseg import cli

    main(cli.parse(PRESETS, "quick", description=__doc__, args=args, program=program("report")))


if __name__ == "__main__":
    launch("report", lambda: command)
