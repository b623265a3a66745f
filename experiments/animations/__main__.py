"""Animated figures for slides, as GIFs of 480 pixels, and as MP4 where `ffmpeg` is there.

    python -m experiments.animations                       into experiments/figures/animations
    python -m experiments.animations --out slides

strided.gif, dilated.gif and transposed.gif go through a convolution's arithmetic number by number;
gridding.gif and checkerboard.gif show what rates and strides leave; gradient.gif is measured on
random nets, with theory dashed at the end. The same code gives the same bytes.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxseg.startup import launch

if TYPE_CHECKING:
    from experiments.animations.canvas import Animation


@dataclass(frozen=True)
class Config:
    """Configuration of the animations.

    Attributes:
        preset: The preset that the other values come from.
        out: The folder that they are written to.
        only: Names of those to make, such as "strided"; none makes all.
    """

    preset: str = "all"
    out: Path = Path("experiments/figures/animations")
    only: tuple[str, ...] = ()


PRESETS = {"all": Config()}


def animations() -> "dict[str, Callable[[], Animation]]":
    """Return name -> a function that makes the animation."""
    import numpy as np

    from experiments.animations import arithmetic, depth

    image = np.random.default_rng(7).integers(0, 4, (7, 7))
    diagonal = np.array([[2, 0, 1], [0, 1, 0], [1, 0, 2]])
    return {
        "strided": lambda: arithmetic.convolution(
            image[:5, :5], diagonal, stride=2, padding=1, title="A convolution with stride 2"
        ),
        "dilated": lambda: arithmetic.convolution(
            image, diagonal, dilation=2, title="A dilated convolution: rate 2"
        ),
        "transposed": lambda: arithmetic.transposed(
            np.array([[1, 3, 2], [0, 2, 1], [2, 1, 3]]),
            title="A transposed convolution stamps and sums (stride 2)",
        ),
        "gridding": lambda: arithmetic.gridding(
            ((2, 2, 2), (1, 2, 3)), title="What one output pixel sees: equal rates leave holes"
        ),
        "checkerboard": lambda: arithmetic.checkerboard(
            (3, 4), inputs=5, title="Checkerboards: how many stamps meet"
        ),
        "gradient": lambda: depth.gradient_through_depth(
            depth.measured_gradients(),
            depth.expected_gradients(),
            title="A gradient runs back through 32 layers",
        ),
    }


def main(config: Config) -> None:
    """Make the animations.

    Raises:
        ValueError: A name is unknown.
    """
    makers = animations()
    unknown = sorted({*config.only} - {*makers})
    if unknown:
        raise ValueError(f"only={unknown}: there are {', '.join(makers)}.")
    config.out.mkdir(parents=True, exist_ok=True)
    ffmpeg = shutil.which("ffmpeg")
    for name in config.only or makers:
        path = config.out / f"{name}.gif"
        makers[name]().write(path, ffmpeg=ffmpeg)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line and make the animations."""
    from jaxseg import cli

    program = "python -m experiments.animations"
    main(cli.parse(PRESETS, "all", description=__doc__, args=args, program=program))


if __name__ == "__main__":
    launch("animations", lambda: command)
