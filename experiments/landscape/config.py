"""Arms, configuration and presets of the landscape study."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from experiments.arms import ARM_LABELS
from jaxseg.studies import SweepConfig

ARMS: dict[str, dict[str, Any]] = {"plain": {"residual": False}, "residual": {"residual": True}}
"""Arm -> the options of `models.DeepNet` that set it apart."""
LABELS = {arm: ARM_LABELS[arm] for arm in ARMS}
"""Arm -> its name for people."""


@dataclass(frozen=True, kw_only=True)
class Config(SweepConfig):
    """The study.

    Attributes:
        size: Height and width of the images in pixels.
        depths: Convolutions from input to output, even and at least 4.
        features: Channels of every layer.
        images: Training images over which the loss is taken.
        points: Points of the grid along each direction, an odd number.
        reach: Reach of the grid to either side, in units of the filters' norms.
        directions: Directions over which the curvature is averaged.
        lanczos: Products with the Hessian for its eigenvalues.
    """

    out: Path = Path("runs/landscape")
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: int = 4
    learning_rates: tuple[float, ...] = (1e-3, 4e-3, 1.2e-2)
    size: int = 16
    depths: tuple[int, ...] = (8, 16, 32)
    features: int = 8
    images: int = 8
    points: int = 25
    reach: float = 1.0
    directions: int = 8
    lanczos: int = 20

    known_arms: ClassVar[tuple[str, ...]] = tuple(ARMS)
    may_differ: ClassVar[tuple[str, ...]] = (*SweepConfig.may_differ, "depths")

    def __post_init__(self):
        """Refuse what cannot be run."""
        super().__post_init__()
        wrong = [depth for depth in self.depths if depth < 4 or depth % 2]
        if wrong or not self.depths or len({*self.depths}) < len(self.depths):
            raise ValueError(
                f"depths={self.depths}: a net has a stem, blocks of two convolutions and a head; "
                "give even numbers from 4, each once."
            )
        self.require(1, "images", "size", "features", "directions", "lanczos")
        if self.points < 5 or self.points % 2 == 0 or not self.reach > 0:
            raise ValueError(
                f"points={self.points}, reach={self.reach}: give an odd number from 5, so that the "
                "net itself is on the grid, and a positive reach."
            )

    @property
    def offsets(self) -> np.ndarray:
        """Offsets of the grid's points along either direction."""
        return np.linspace(-self.reach, self.reach, self.points).astype(np.float32)


PRESETS = {
    "tiny": Config(
        size=12,
        depths=(4,),
        seeds=2,
        learning_rates=(4e-3,),
        steps=3,
        batch_size=2,
        features=4,
        images=2,
        points=5,
        directions=2,
        lanczos=3,
    ),
    "quick": Config(),
    "full": Config(
        size=24,
        depths=(8, 16, 32, 64),
        seeds=8,
        learning_rates=(5e-4, 1e-3, 2e-3, 4e-3, 8e-3),
        steps=600,
        batch_size=8,
        features=16,
        images=24,
        points=51,
        lanczos=40,
    ),
}
