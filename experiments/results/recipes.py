"""Which commands measure the README's numbers, and what is kept of their runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from experiments.results import reduce
from experiments.results.reduce import Values

MOSAIC_CLASSES, CAMVID_CLASSES = 3, 11
Command = tuple[str, ...]
"""Words behind `python -m`; "{out}" stands for the folder of the run."""


@dataclass(frozen=True)
class Recipe:
    """The measurement of a result.

    Attributes:
        commands: What is run, in this order.
        keep: Function of the run's folder: the numbers that are kept.
        finished: File whose presence in that folder means that all commands ended well.
        figures: File of the run -> name in experiments/figures.
        minutes: About how long it takes on two cores.
        needs: Environment variable that names the data, or "".
        idle: It measures time, so the machine must do nothing else.
    """

    commands: tuple[Command, ...]
    keep: Callable[[Path], Values]
    finished: str
    figures: dict[str, str] = field(default_factory=dict)
    minutes: int = 5
    needs: str = ""
    idle: bool = False


def _study(name: str, *options: str) -> tuple[Command]:
    return ((f"experiments.{name}", *options, "--out", "{out}", "--resume"),)


def _benchmark(name: str, *options: str) -> tuple[Command]:
    return ((f"experiments.benchmarks.{name}", *options, "--out", "{out}"),)


def _street_scenes(*options: str) -> Recipe:
    train = ("jaxseg", "train", "--preset", "camvid", *options, "--out", "{out}", "--resume")
    evaluate = ("jaxseg", "evaluate", "--run", "{out}", "--split", "test", "--inference.flip")
    return Recipe(
        (train, evaluate),
        reduce.segmentation,
        "test/results.csv",
        minutes=40,
        needs="JAXSEG_CAMVID",
    )


RECIPES = {
    "demo": Recipe(
        _study("depth_scaling", "--preset", "quick"),
        partial(reduce.depth_losses, classes=MOSAIC_CLASSES),
        "study.json",
        {"depth_scaling.png": "depth_scaling.png"},
    ),
    "depths": Recipe(
        _study(
            *("depth_scaling", "--preset", "full"),
            *("--depths", "8", "16", "32", "64", "128", "256"),
        ),
        partial(reduce.depth_losses, classes=MOSAIC_CLASSES),
        "study.json",
        minutes=45,
    ),
    "deepest": Recipe(
        _study("depth_scaling", "--preset", "deepest"),
        partial(reduce.depth_losses, classes=MOSAIC_CLASSES),
        "study.json",
        {"curves.png": "deepest.png"},
        minutes=20,
    ),
    "street_depth": Recipe(
        _study(
            *("depth_scaling", "--preset", "quick", "--dataset", "camvid"),
            *("--size", "36", "48", "--depths", "64"),
            *("--arms", "plain", "residual", "residual_norm"),
        ),
        partial(reduce.depth_losses, classes=CAMVID_CLASSES),
        "study.json",
        minutes=10,
        needs="JAXSEG_CAMVID",
    ),
    "fcn8s": _street_scenes("--model.name", "fcn8s"),
    "unet": _street_scenes("--model.name", "unet"),
    "deeplabv3plus": _street_scenes("--model.name", "deeplabv3plus", "--model.features", "128"),
    "ops": Recipe(
        _benchmark("ops"),
        partial(reduce.ratios, groups=("family",), ratio="ratio"),
        "summary.md",
        minutes=8,
        idle=True,
    ),
    "steps": Recipe(
        _benchmark("steps", "--compiled"),
        partial(reduce.ratios, groups=("case",), ratio="ratio"),
        "summary.md",
        minutes=8,
        idle=True,
    ),
    "members": Recipe(
        _benchmark("members"),
        partial(reduce.ratios, groups=(), ratio="to_pytorch"),
        "summary.md",
        idle=True,
    ),
    "ensembles": Recipe(
        _benchmark("ensembles"),
        partial(reduce.ratios, groups=("kind", "count"), ratio="to_pytorch"),
        "summary.md",
        minutes=3,
        idle=True,
    ),
    "gradients": Recipe(
        _benchmark("gradients"),
        partial(reduce.ratios, groups=("net",), ratio="to_pytorch"),
        "summary.md",
        idle=True,
    ),
}
"""Name -> how it is measured."""
