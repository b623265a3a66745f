"""What the dilation study compares, on what, and for how long."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dilation_nets import ARMS

from jaxseg import data


@dataclass(frozen=True)
class Config:
    """The study.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        dataset: "mosaic" is embedded; "camvid" needs its folder.
        camvid_dir: that folder; else the environment variable JAXSEG_CAMVID.
        data_dir: where prepared data is kept; None is the user's TFDS folder.
        size: height and width of the images, in pixels: 1 + multiples of 4, so that strided scores
            stand on pixels.
        cells: regions of a mosaic.
        scale: what its photographs are shrunk by. At 1 a brick is larger than what `plain` sees.
        arms: which nets, of `dilation_nets.ARMS`.
        seeds: runs of each arm and learning rate.
        learning_rates: of Adam; they stay for half of the steps, then fall to 0 linearly.
        steps: of training.
        batch_size: images a step.
        features: channels of every layer but where an arm asks for equal multiply-adds.
        clip: largest norm of the gradient.
        projections: gradients that each net's effective field is averaged over, at each of four
            pixels and in each of eight images.
        devices: XLA devices on a CPU; 0 is one a core.
        resume: go on with what is in `out`.
        overwrite: start again over what is in `out`.
    """

    preset: str = "quick"
    out: Path = Path("runs/dilation")
    dataset: Literal["mosaic", "camvid"] = "mosaic"
    camvid_dir: Path | None = None
    data_dir: Path | None = None
    size: tuple[int, int] = (41, 41)
    cells: int = 3
    scale: int = 1
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: int = 3
    learning_rates: tuple[float, ...] = (5e-3, 1.5e-2, 4.5e-2)
    steps: int = 150
    batch_size: int = 4
    features: int = 8
    clip: float = 1.0
    projections: int = 4
    devices: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self):
        """Refuse what cannot be run."""
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown or not self.arms:
            raise ValueError(f"arms {unknown or '()'} are unknown: give some of {', '.join(ARMS)}.")
        if any(n % 4 != 1 or n < 29 for n in self.size):
            raise ValueError(
                f"size={self.size}: give 1 + a multiple of 4, at least 29, so that scores of "
                "stride 4 stand on pixels and the period of a dilation can be told."
            )
        if self.resume and self.overwrite:
            raise ValueError("resume and overwrite exclude each other: give one of them.")
        rates = self.learning_rates
        if len({*rates}) < len(rates) or min(rates, default=0.0) <= 0:
            raise ValueError(f"learning_rates={rates}: give positive ones, each once.")
        counts = {
            n: getattr(self, n) for n in ("seeds", "steps", "batch_size", "features", "projections")
        }
        if min(counts.values()) < 1:
            raise ValueError(f"{counts}: give at least one of each.")


PRESETS = {
    "tiny": Config(
        size=(29, 29),
        arms=("plain", "strided", "dilated", "cascade", "degridded"),
        seeds=2,
        learning_rates=(1e-2,),
        steps=4,
        batch_size=2,
        features=4,
        projections=1,
    ),
    "quick": Config(),
    "full": Config(
        size=(49, 49),
        seeds=5,
        learning_rates=(2.5e-3, 5e-3, 1e-2, 2e-2, 4e-2),
        steps=1000,
        batch_size=8,
    ),
    "camvid": Config(dataset="camvid", size=(45, 61), steps=600, batch_size=8, features=16),
}


def load_data(config: Config) -> data.Dataset:
    """The data set at the configured size, prepared on the first call."""
    if config.dataset == "camvid":
        return data.camvid(size=config.size, directory=config.camvid_dir, data_dir=config.data_dir)
    if config.size[0] != config.size[1]:
        raise ValueError(f"size={config.size}: mosaics are square; give one side twice.")
    return data.mosaic(
        size=config.size[0], cells=config.cells, scale=config.scale, data_dir=config.data_dir
    )
