"""Arms, configuration and presets of the study of paths."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.arms import ARM_LABELS
from jaxseg.studies import SweepConfig

ARMS: dict[str, dict[str, Any]] = {
    "residual": {"residual": True},
    "residual_norm": {"residual": True, "norm": "batch", "branch_scale": 1.0},
    "residual_unscaled": {"residual": True, "branch_scale": 1.0},
    "plain": {"residual": False},
    "plain_norm": {"residual": False, "norm": "batch"},
    "plain_isometric": {
        "residual": False,
        "activation": "tanh",
        "kernel_init": "delta_orthogonal",
        "weight_variance": 1.05,
    },
}
"""Arm -> the options of `models.DeepNet` that set it apart."""
LABELS = {arm: ARM_LABELS[arm] for arm in ARMS}
"""Arm -> its name for people."""
DEEP = ("residual", "residual_norm", "plain_isometric")
"""Arms that train at the full depth."""
SHALLOW = ("residual", "residual_norm", "plain", "plain_norm", "plain_isometric")
"""Arms at a depth at which a plain net trains without help."""
UNTRAINED = ("residual_unscaled",)
"""Arms that are measured at initialization only."""


@dataclass(frozen=True, kw_only=True)
class Config(SweepConfig):
    """The study.

    Attributes:
        size: Height and width of the images in pixels.
        blocks: Blocks of the deep nets, of two convolutions each; 54 in Veit et al. 2016.
        shallow: Blocks of nets that are shallow enough for a plain one.
        features: Channels of every layer.
        sampled: About how many lengths of single paths are drawn.
        samples: Single paths of each of these lengths, and lesions of each size.
        images: Validation images on which lesions are judged.
    """

    out: Path = Path("runs/paths")
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: int = 4
    size: int = 16
    blocks: int = 54
    shallow: int = 7
    features: int = 8
    sampled: int = 12
    samples: int = 8
    images: int = 8

    known_arms: ClassVar[tuple[str, ...]] = tuple(ARMS)

    def __post_init__(self):
        """Refuse what cannot be run."""
        super().__post_init__()
        self.require(2, "blocks", "shallow", "samples", "sampled")
        self.require(1, "images", "size", "features")
        if not self.measured or not all(self.nets.values()):
            raise ValueError(
                f"arms={self.arms}: give one with shortcuts, whose paths are measured, and one of "
                f"{', '.join(DEEP)}, whose blocks are removed."
            )
        if self.shallow >= self.blocks:
            raise ValueError(
                f"shallow={self.shallow} must be fewer than blocks={self.blocks}: the study "
                "compares deep nets with shallow ones."
            )

    @property
    def measured(self) -> tuple[str, ...]:
        """The arms whose gradient is taken apart."""
        return tuple(a for a in (*UNTRAINED, *DEEP) if a in self.arms and ARMS[a]["residual"])

    @property
    def nets(self) -> dict[int, tuple[str, ...]]:
        """Depth in blocks -> the arms that are trained at it."""
        by_depth = {self.blocks: DEEP, self.shallow: SHALLOW}
        return {n: tuple(a for a in arms if a in self.arms) for n, arms in by_depth.items()}


PRESETS = {
    "tiny": Config(
        arms=("residual_norm", "plain_norm"),
        size=12,
        blocks=5,
        shallow=3,
        seeds=2,
        learning_rates=(4e-3,),
        steps=3,
        batch_size=2,
        features=4,
        sampled=3,
        samples=2,
        images=2,
    ),
    "quick": Config(),
    "full": Config(
        size=24,
        seeds=8,
        learning_rates=(5e-4, 1e-3, 2e-3, 4e-3, 8e-3),
        steps=600,
        features=16,
        batch_size=8,
        sampled=28,
        samples=32,
        images=24,
    ),
}
