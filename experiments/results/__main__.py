"""The README's numbers and figures, made anew from the present code.

    python -m experiments.results                      what is not in runs/results/ yet, then all
    python -m experiments.results --only demo ops      some of them
    python -m experiments.results --no-measure         write the README from the JSON files only

Each result is measured by the commands of `recipes.py` in runs/results/NAME, where a stopped one
goes on; kept as experiments/results/measured/NAME.json; and written into the README between its
marks, `<!-- NAME -->` and `<!-- end -->`. A result whose data are not there (CamVid, by
JAXSEG_CAMVID) is named and left as it was. Timings want an idle machine, so no other work should
run; all of it takes some three hours on two cores.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from jaxseg.startup import launch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_IDLE, _PATIENCE = 0.3, 180.0


@dataclass(frozen=True)
class Config:
    """Configuration of the results.

    Attributes:
        preset: The preset that the other values come from.
        only: Names of the results to measure; () is all of them.
        measure: Measure what is not there, and keep it; otherwise only write the README.
        runs: The folder that holds a folder for each result.
    """

    preset: str = "full"
    only: tuple[str, ...] = ()
    measure: bool = True
    runs: Path = Path("runs/results")


PRESETS = {"full": Config()}


def main(config: Config) -> None:
    """Measure, keep, and write the README.

    Raises:
        ValueError: A name is unknown, or a command failed.
    """
    from experiments.results import readme
    from experiments.results.recipes import RECIPES

    if unknown := sorted({*config.only} - {*RECIPES}):
        raise ValueError(f"only={config.only}: unknown {unknown}; give some of {list(RECIPES)}.")
    for name, recipe in RECIPES.items() if config.measure else ():
        if config.only and name not in config.only:
            continue
        if recipe.needs and recipe.needs not in os.environ:
            print(f"{name}: left as it was, since {recipe.needs} does not name the data.")
            continue
        folder = config.runs / name
        if not (folder / recipe.finished).exists():
            _measure(name, folder)
        _keep(name, folder)
    changed = readme.rewrite(ROOT / "README.md")
    print(f"README.md: {', '.join(changed) or 'nothing'} changed.")


def _measure(name: str, folder: Path) -> None:
    from experiments.results.recipes import RECIPES

    recipe = RECIPES[name]
    print(f"{name}: about {recipe.minutes} minutes on two cores", flush=True)
    if recipe.idle:
        _wait_until_idle()
    began = time.monotonic()
    for words in recipe.commands:
        command = [sys.executable, "-m", *(w.replace("{out}", str(folder)) for w in words)]
        if subprocess.run(command, check=False).returncode:
            raise ValueError(f"{name}: failed: {' '.join(command)}")
    print(f"{name}: {(time.monotonic() - began) / 60:.1f} minutes", flush=True)


def _wait_until_idle() -> None:
    """Wait until what ran before has left the machine's load, for three minutes at most."""
    until = time.monotonic() + _PATIENCE
    while os.getloadavg()[0] > _IDLE and time.monotonic() < until:
        time.sleep(5)


def _keep(name: str, folder: Path) -> None:
    from experiments.results.recipes import RECIPES
    from jaxseg import files

    recipe = RECIPES[name]
    record = {
        "commands": ["python -m " + " ".join(words) for words in recipe.commands],
        **recipe.keep(folder),
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    files.write_text(HERE / "measured" / f"{name}.json", f"{text}\n")
    for source, target in recipe.figures.items():
        shutil.copyfile(folder / source, HERE.parent / "figures" / target)


def _load():
    from jaxseg.cli import parse

    program = "python -m experiments.results"
    return lambda args: main(
        parse(PRESETS, "full", description=__doc__, program=program, args=args)
    )


if __name__ == "__main__":
    launch("results", _load)
