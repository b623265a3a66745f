"""The benchmark of an accelerator: its configuration and its parts, one behind the other."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax

from experiments.benchmarks.accelerator import (
    exact,
    operations,
    pipeline,
    precision,
    programs,
    smoke,
    training,
)
from experiments.benchmarks.accelerator.__main__ import __doc__ as __doc__
from experiments.benchmarks.accelerator.parts import Task, run_part, table
from jaxseg import files

RUN = "run.json"
PARTS = ("smoke", "exactness", "ops", "training", "pipeline", "precision", "studies", "streets")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Configuration of the benchmark.

    Attributes:
        preset: The preset that the other values come from.
        parts: Parts to run.
        out: Folder of the results; what is there is not measured again.
        tiny: Measure little, to show that the benchmark works.
        seconds: Time of each part in seconds.
    """

    preset: str = "full"
    parts: tuple[str, ...] = PARTS
    out: Path = Path("runs/benchmarks/accelerator")
    tiny: bool = False
    seconds: float = 480

    def __post_init__(self):
        """Refuse what cannot be run."""
        if unknown := sorted({*self.parts} - {*PARTS}):
            raise ValueError(f"parts={self.parts} must be some of {PARTS}; unknown: {unknown}.")
        if not self.seconds > 0:
            raise ValueError(f"seconds={self.seconds} must be positive.")


PRESETS = {
    "full": Config(),
    "tiny": Config(tiny=True, out=Path("runs/benchmarks/accelerator_tiny")),
}


def main(config: Config) -> None:
    """Run the parts, and write JSON lines and a Markdown table for each.

    Raises:
        ValueError: The folder holds another machine's results, or something failed.
    """
    _enter(config)
    failed: list[str] = []
    for name in config.parts:
        begin = time.perf_counter()
        rows = run_part(config.out / f"{name}.jsonl", _tasks(name, config), config.seconds)
        files.write_text(config.out / f"{name}.md", table(rows) + "\n")
        print(f"{name}: {len(rows)} rows, {time.perf_counter() - begin:.1f} s", flush=True)
        failed += [f"{name}, {row['task']}: {row['error']}" for row in rows if "error" in row]
    if failed:
        raise ValueError(f"{len(failed)} failed: {'; '.join(failed[:5])}")


def _tasks(name: str, config: Config) -> Iterator[Task]:
    parts: dict[str, Callable[..., Iterator[Task]]] = {
        "smoke": smoke.tasks,
        "exactness": exact.tasks,
        "ops": operations.tasks,
        "training": training.tasks,
        "pipeline": pipeline.tasks,
        "precision": precision.tasks,
        "studies": partial(programs.studies, out=config.out / "studies"),
        "streets": partial(programs.streets, out=config.out / "streets"),
    }
    return parts[name](tiny=config.tiny)


def _enter(config: Config) -> None:
    """Make the folder, or check that its results are this machine's and of this size.

    Raises:
        ValueError: They are not.
    """
    files.make_folder(config.out)
    device = jax.devices()[0]
    here = {"tiny": config.tiny, "device": device.device_kind, "jax": jax.__version__}
    path = config.out / RUN
    there = json.loads(files.read_text(path)) if path.exists() else here
    if there != here:
        raise ValueError(
            f"{config.out} holds results of {there}, and this is {here}: give another --out."
        )
    files.write_text(path, json.dumps(here, indent=1) + "\n")
