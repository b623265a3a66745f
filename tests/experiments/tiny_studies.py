"""Studies run at `tiny`, stopped, copied and compared."""

import csv
import importlib
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest

from jaxseg.startup import Stopped
from jaxseg.studies import Findings, Results, best_rate, command, read_findings
from jaxseg.training.tables import write_csv

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.parent.name for path in ROOT.glob("experiments/*/study.py"))
TIMES = {"compile_seconds", "step_milliseconds", "seconds", "images_per_second"}
"""Columns that differ from run to run."""


@dataclass(frozen=True)
class Study:
    """A study and the folder that the tests run it in."""

    name: str
    folder: Path

    def module(self, room):
        return importlib.import_module(f"experiments.{self.name}.{room}")

    @property
    def presets(self):
        return self.module("config").PRESETS

    @property
    def tiny(self):
        return self.presets["tiny"]

    def run(self, out: Path, *words: str) -> Findings:
        """Run the study as its command line does; return what it wrote."""
        args = ["--preset", "tiny", "--out", str(out), "--data-dir", str(self.folder), *words]
        with jax.numpy_dtype_promotion("standard"):  # that of a user's program
            command(
                self.name,
                self.module("study").run,
                self.presets,
                description=None,
                program=f"python -m experiments.{self.name}",
                args=args,
            )
        findings = read_findings(out)
        assert findings
        return findings

    def stop(self, out: Path, *words: str, table: str, written: bool) -> Stopped | None:
        """Run the study until rows are added to a table of this name, or to any if it is "".

        Args:
            out: The study's folder.
            *words: Of the command line.
            table: Name of the file.
            written: Stop behind the writing of the rows, not before it.

        Returns:
            What stopped the study; None if it was finished.
        """
        add = Results.add

        def add_and_stop(results, rows):
            met = table in ("", results.path.name)
            if written or not met:
                add(results, rows)
            if met:
                raise Stopped(signal.SIGTERM)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Results, "add", add_and_stop)
            try:
                self.run(out, *words)
            except Stopped as stop:
                return stop
        return None


def tables(folder: Path, *, times: bool = True) -> dict[str, list[dict[str, str]]]:
    """Read all tables of a folder, their rows sorted, with or without columns of times."""
    read = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="") as file:
            rows = [
                {name: value for name, value in row.items() if times or name not in TIMES}
                for row in csv.DictReader(file)
            ]
        read[path.name] = sorted(rows, key=lambda row: [*row.values()])
    return read


def assert_same(folder: Path, expected: Path) -> None:
    """Compare all rows and verdicts, times aside."""
    assert tables(folder, times=False) == tables(expected, times=False)
    findings, undisturbed = read_findings(folder), read_findings(expected)
    assert findings.verdicts == undisturbed.verdicts
    assert (findings.about, findings.figures) == (undisturbed.about, undisturbed.figures)
    arrays = [
        {path.relative_to(parent) for path in parent.rglob("*.np[yz]")}
        for parent in (folder, expected)
    ]
    assert arrays[0] == arrays[1]


def copy_first_seed(tiny: Path, out: Path, *, best_rates: bool = False) -> None:
    """Copy a study without the rows of any but the first seed.

    Args:
        tiny: The study.
        out: The copy.
        best_rates: Keep the runs at the best rates over all seeds only. What else was measured is
            of these.
    """
    shutil.copytree(tiny, out)
    for name, rows in tables(tiny).items():
        if "seed" in rows[0]:
            kept = at_best_rates(rows) if best_rates and name == "results.csv" else rows
            first = [row for row in kept if row["seed"] == "0"]
            write_csv(out / name, [*rows[0]], first)


def at_best_rates(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Select the rows at the best rate of what is named by the columns in front of the seed."""
    if not {"learning_rate", "train_loss"} <= {*rows[0]}:
        return rows
    names = [*rows[0]][: [*rows[0]].index("seed")]
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    best = []
    for group in groups.values():
        rate = best_rate([{n: float(r[n]) for n in ("learning_rate", "train_loss")} for r in group])
        best += [row for row in group if float(row["learning_rate"]) == rate]
    return best


def assert_close(row: dict[str, str], expected: dict[str, str]) -> None:
    """Compare numbers up to rounding, which depends on what else is trained in an ensemble."""
    assert row.keys() == expected.keys()
    for name in row.keys() - TIMES:
        try:
            value = pytest.approx(float(expected[name]), rel=1e-3)
        except ValueError:
            assert row[name] == expected[name], name
        else:
            assert float(row[name]) == value, name
