"""What the study of paths compares: its arms, its configuration and presets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
DEEP = ("residual", "residual_norm", "plain_isometric")
"""Arms that train at the full depth."""
SHALLOW = ("residual", "residual_norm", "plain", "plain_norm", "plain_isometric")
"""Arms at a depth at which a plain net trains by itself."""
BEGUN = ("residual_unscaled",)
"""Arms that are measured at initialisation alone."""


@dataclass(frozen=True)
class Config:
    """What is trained, and how its paths are measured and its blocks removed.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        data_dir: where prepared data is kept; None is the user's TFDS folder.
        size: side of the images, in pixels.
        blocks: of the deep nets, of two convolutions each; 54 in Veit et al. 2016.
        arms: which nets.
        shallow: blocks of the nets shallow enough for a plain one.
        seeds: runs of each net and learning rate.
        learning_rates: of Adam; they stay for half of the steps, then fall to 0 linearly.
        steps: of training.
        batch_size: images a step, and of the gradient that is taken apart.
        features: channels of every layer.
        clip: largest norm of the gradient.
        sampled: about so many lengths of single paths are drawn.
        samples: single paths of each of these lengths, and lesions of each size.
        images: of the validation split, on which lesions are judged.
        devices: XLA devices on a CPU; 0 is one a core.
        resume: go on with what is in `out`.
        overwrite: start again over what is in `out`.
    """

    preset: str = "quick"
    out: Path = Path("runs/paths")
    data_dir: Path | None = None
    size: int = 16
    arms: tuple[str, ...] = tuple(ARMS)
    blocks: int = 54
    shallow: int = 7
    seeds: int = 4
    learning_rates: tuple[float, ...] = (1e-3, 4e-3)
    steps: int = 150
    batch_size: int = 4
    features: int = 8
    clip: float = 1.0
    sampled: int = 12
    samples: int = 8
    images: int = 8
    devices: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self):
        """Refuse what cannot be run."""
        for name in ("blocks", "shallow", "samples", "sampled"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 2.")
        for name in ("seeds", "steps", "batch_size", "images", "size", "features"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown or not self.arms:
            raise ValueError(f"arms {unknown or '()'} are unknown: give some of {', '.join(ARMS)}.")
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
        rates = self.learning_rates
        if not rates or len({*rates}) < len(rates) or min(rates) <= 0:
            raise ValueError(f"learning_rates={rates}: give positive ones, each once.")

    @property
    def measured(self) -> tuple[str, ...]:
        """Arms whose gradient is taken apart."""
        return tuple(a for a in (*BEGUN, *DEEP) if a in self.arms and ARMS[a]["residual"])

    @property
    def nets(self) -> dict[int, tuple[str, ...]]:
        """Depth in blocks -> arms that are trained at it."""
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
