"""What the depth study compares: its arms, its configuration and presets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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


@dataclass(frozen=True)
class Config:
    """What is compared, on what, and for how long.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        dataset: "mosaic" is embedded; "camvid" needs its folder.
        camvid_dir: that folder; else the environment variable JAXSEG_CAMVID.
        data_dir: where prepared data is kept; None is the user's TFDS folder.
        size: height and width of the images, in pixels.
        arms: which nets.
        depths: convolutions from input to output, even and at least 4.
        seeds: runs of each arm, depth and learning rate.
        learning_rates: of Adam; they stay for half of the steps, then fall to 0 linearly.
        steps: of training.
        batch_size: images a step.
        features: channels of every layer.
        dilation: of every 3x3 convolution but the first.
        clip: largest norm of the gradient.
        checkpoint: keep every k-th block's input only and recompute the rest; 0 keeps all.
        devices: XLA devices on a CPU; 0 is one a core.
        resume: go on with what is in `out`.
        overwrite: start again over what is in `out`.
    """

    preset: str = "quick"
    out: Path = Path("runs/depth_scaling")
    dataset: Literal["mosaic", "camvid"] = "mosaic"
    camvid_dir: Path | None = None
    data_dir: Path | None = None
    size: tuple[int, int] = (20, 20)
    arms: tuple[str, ...] = tuple(ARMS)
    depths: tuple[int, ...] = (8, 16, 32, 64)
    seeds: int = 3
    learning_rates: tuple[float, ...] = (1e-3, 4e-3, 1.2e-2)
    steps: int = 150
    batch_size: int = 4
    features: int = 8
    dilation: int = 1
    clip: float = 1.0
    checkpoint: int = 0
    devices: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self):
        """Refuse what cannot be run."""
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown or not self.arms:
            raise ValueError(f"arms {unknown or '()'} are unknown: give some of {', '.join(ARMS)}.")
        wrong = [d for d in self.depths if d < 4 or d % 2]
        if wrong or not self.depths:
            raise ValueError(
                f"depths {wrong or '()'}: a net has a stem, blocks of two convolutions and a head; "
                "give even numbers from 4."
            )
        if self.resume and self.overwrite:
            raise ValueError("resume and overwrite exclude each other: give one of them.")
        rates = self.learning_rates
        if len({*rates}) < len(rates) or min(rates, default=1.0) <= 0:
            raise ValueError(f"learning_rates={rates}: give positive ones, each once.")
        if self.seeds < 1 or self.steps < 1 or self.batch_size < 1 or not self.learning_rates:
            raise ValueError(
                f"seeds={self.seeds}, steps={self.steps}, batch_size={self.batch_size}, "
                f"learning_rates={self.learning_rates}: give at least one of each."
            )


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
        arms=("residual",), depths=(1026,), seeds=2, learning_rates=(1e-3,), steps=300
    ),
}
