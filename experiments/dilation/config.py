"""Arms, configuration and presets of the dilation study."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from experiments.dilation.nets import ARMS
from jaxseg import data
from jaxseg.studies import SweepConfig


@dataclass(frozen=True, kw_only=True)
class Config(SweepConfig):
    """The study.

    Attributes:
        dataset: "mosaic" is embedded; "camvid" needs its folder.
        camvid_dir: That folder; otherwise the environment variable JAXSEG_CAMVID names it.
        size: Height and width of the images in pixels, 1 + multiples of 4, so that scores of
            stride 4 are those of pixels.
        cells: Regions of a mosaic.
        scale: The mosaic's photographs are shrunk by it. At 1 a brick is larger than the receptive
            field of `plain`.
        features: Channels of every layer, except where an arm asks for equal multiply-adds.
        projections: Gradients that each net's effective field is averaged over, at each of four
            pixels and in each of eight images.
    """

    out: Path = Path("runs/dilation")
    arms: tuple[str, ...] = tuple(ARMS)
    learning_rates: tuple[float, ...] = (5e-3, 1.5e-2, 4.5e-2)
    dataset: Literal["mosaic", "camvid"] = "mosaic"
    camvid_dir: Path | None = None
    size: tuple[int, int] = (41, 41)
    cells: int = 3
    scale: int = 1
    features: int = 8
    projections: int = 4

    known_arms: ClassVar[tuple[str, ...]] = tuple(ARMS)
    may_differ: ClassVar[tuple[str, ...]] = (*SweepConfig.may_differ, "camvid_dir")

    def __post_init__(self):
        """Refuse what cannot be run."""
        super().__post_init__()
        self.require(1, "features", "projections", "cells", "scale")
        if any(n % 4 != 1 or n < 29 for n in self.size):
            raise ValueError(
                f"size={self.size}: give 1 + a multiple of 4, at least 29, so that scores of "
                "stride 4 are those of pixels and the period of a dilation can be told."
            )
        if self.dataset == "mosaic" and self.size[0] != self.size[1]:
            raise ValueError(f"size={self.size}: mosaics are square; give one side twice.")


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
    """Open the data set at the configured size; it is prepared on the first call."""
    if config.dataset == "camvid":
        return data.camvid(size=config.size, directory=config.camvid_dir, data_dir=config.data_dir)
    return data.mosaic(
        size=config.size[0], cells=config.cells, scale=config.scale, data_dir=config.data_dir
    )
