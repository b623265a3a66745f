"""The folder that a benchmark leaves: its configuration, the machine, rows, summary and figure."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from experiments.benchmarks.machine import Machine, measure_machine
from experiments.benchmarks.timing import Rows
from jaxseg import files
from jaxseg.training import records, tables, use_all_cores

_DPI = 150


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Configuration that every benchmark has.

    Attributes:
        preset: The preset that the other values come from.
        out: Folder of the results; those of an earlier run are replaced.
    """

    preset: str = "full"
    out: Path = Path("runs/benchmark")


@contextmanager
def run_folder(config: BenchmarkConfig) -> Iterator[Machine]:
    """Prepare devices and folder of a benchmark; within, the folder is this process's alone.

    Yields:
        The machine, measured before the benchmark; machine.json holds it too.

    Raises:
        ValueError: Another run is in the folder.
    """
    use_all_cores()
    with records.only_run(config.out):
        records.open_run(config.out, config, results="results.csv", resume=False, overwrite=True)
        size = {"side": 64, "megabytes": 1} if config.preset == "tiny" else {}
        machine = measure_machine(**size)
        machine.save(config.out)
        yield machine


def write_results(
    folder: Path,
    summary: str,
    columns: Sequence[str],
    rows: Rows,
    machine: Machine,
    figure: Figure | None = None,
) -> None:
    """Write results.csv, summary.md and, if there is one, the figure; print the summary.

    Args:
        folder: The folder.
        summary: Markdown.
        columns: Columns of results.csv.
        rows: Its rows.
        machine: Described below the summary.
        figure: Saved as times.png.
    """
    tables.write_csv(folder / "results.csv", columns, rows)
    summary = f"{summary}\n{machine.sentence()}\n"
    files.write_text(folder / "summary.md", summary)
    if figure:
        figure.savefig(folder / "times.png", dpi=_DPI)
    print(f"\n{summary}\nIn {folder}.")
