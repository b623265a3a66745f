"""Arms, configuration and presets of the study of long skips."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from experiments.long_skips.nets import ARMS
from jaxseg.studies import SweepConfig


@dataclass(frozen=True, kw_only=True)
class Config(SweepConfig):
    """The study.

    Attributes:
        size: Height and width of the images in pixels, a multiple of 2**(levels - 1).
        images: Training images; an epoch has images / batch_size steps.
        levels: Levels of resolution.
        blocks: Blocks of two convolutions in each of the 2 levels - 1 stacks.
        features: Channels of every layer.
    """

    out: Path = Path("runs/long_skips")
    arms: tuple[str, ...] = tuple(ARMS)
    learning_rates: tuple[float, ...] = (0.05, 0.2, 0.5)
    steps: int = 160
    batch_size: int = 8
    size: int = 20
    images: int = 128
    levels: int = 3
    blocks: int = 4
    features: int = 8

    known_arms: ClassVar[tuple[str, ...]] = tuple(ARMS)

    def __post_init__(self):
        """Refuse what cannot be run."""
        super().__post_init__()
        self.require(1, "blocks", "features", "images")
        if self.levels < 2 or self.size % 2 ** (self.levels - 1):
            raise ValueError(
                f"levels={self.levels} must be at least 2, and size={self.size} a multiple of "
                "2**(levels - 1)."
            )
        if self.images % self.batch_size or self.steps % self.epoch_steps:
            raise ValueError(
                f"batch_size={self.batch_size} must divide images={self.images}, and "
                f"steps={self.steps} be a multiple of images / batch_size, so that epochs are "
                "whole."
            )

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return max(1, self.images // self.batch_size)

    @property
    def epochs(self) -> int:
        """Epochs of training."""
        return self.steps // self.epoch_steps


PRESETS = {
    "tiny": Config(
        size=8,
        images=4,
        levels=2,
        blocks=1,
        features=4,
        seeds=2,
        learning_rates=(0.1,),
        steps=4,
        batch_size=2,
    ),
    "quick": Config(),
    "full": Config(
        size=48,
        images=256,
        blocks=11,
        features=16,
        seeds=5,
        steps=60 * 32,
        levels=3,
        learning_rates=(0.02, 0.05, 0.2, 0.5),
    ),
}
