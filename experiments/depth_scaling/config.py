"""Arms, configuration and presets of the depth study."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from experiments.arms import ARM_LABELS
from jaxseg import data
from jaxseg.studies import SweepConfig, easy_mosaic

ARMS: dict[str, dict[str, Any]] = {
    "plain": {"residual": False},
    "plain_norm": {"residual": False, "norm": "batch"},
    "plain_isometric": {
        "residual": False,
        "activation": "tanh",
        "kernel_init": "delta_orthogonal",
        "weight_variance": 1.05,
    },
    "residual": {"residual": True},
    "residual_norm": {"residual": True, "norm": "batch", "branch_scale": 1.0},
}
"""Arm -> the options of `models.DeepNet` that set it apart."""
LABELS = {arm: ARM_LABELS[arm] for arm in ARMS}
"""Arm -> its name for people."""


@dataclass(frozen=True, kw_only=True)
class Config(SweepConfig):
    """The study.

    Attributes:
        dataset: "mosaic" is embedded; "camvid" needs its folder.
        camvid_dir: That folder; otherwise the environment variable JAXSEG_CAMVID names it.
        size: Height and width of the images in pixels.
        depths: Convolutions from input to output, even and at least 4.
        features: Channels of every layer.
        dilation: Dilation of every 3x3 convolution but the first.
        checkpoint: Keep every k-th block's input only and recompute the rest; 0 keeps all.
    """

    out: Path = Path("runs/depth_scaling")
    arms: tuple[str, ...] = tuple(ARMS)
    learning_rates: tuple[float, ...] = (1e-3, 4e-3, 1.2e-2)
    dataset: Literal["mosaic", "camvid"] = "mosaic"
    camvid_dir: Path | None = None
    size: tuple[int, int] = (20, 20)
    depths: tuple[int, ...] = (8, 16, 32, 64)
    features: int = 8
    dilation: int = 1
    checkpoint: int = 0

    known_arms: ClassVar[tuple[str, ...]] = tuple(ARMS)
    may_differ: ClassVar[tuple[str, ...]] = (*SweepConfig.may_differ, "camvid_dir", "depths")

    def __post_init__(self):
        """Refuse what cannot be run."""
        super().__post_init__()
        wrong = [depth for depth in self.depths if depth < 4 or depth % 2]
        if wrong or not self.depths or len({*self.depths}) < len(self.depths):
            raise ValueError(
                f"depths={self.depths}: a net has a stem, blocks of two convolutions and a head; "
                "give even numbers from 4, each once."
            )
        self.require(1, "features", "dilation")
        self.require(0, "checkpoint")
        if self.dataset == "mosaic" and self.size[0] != self.size[1]:
            raise ValueError(f"size={self.size}: mosaics are square; give one side twice.")


PRESETS = {
    "tiny": Config(
        size=(12, 12),
        arms=("plain", "residual"),
        depths=(4, 8),
        seeds=2,
        learning_rates=(1e-3, 1e-2),
        steps=4,
        batch_size=2,
        features=4,
    ),
    "quick": Config(),
    "full": Config(depths=(8, 16, 32, 64, 128, 256, 512, 1026), seeds=5),
    "deepest": Config(
        arms=("residual",), depths=(1026,), seeds=5, learning_rates=(1e-3,), steps=300
    ),
}


def load_data(config: Config) -> data.Dataset:
    """Open the data set at the configured size; it is prepared on the first call."""
    if config.dataset == "camvid":
        return data.camvid(size=config.size, directory=config.camvid_dir, data_dir=config.data_dir)
    return easy_mosaic(config.size[0], data_dir=config.data_dir)
