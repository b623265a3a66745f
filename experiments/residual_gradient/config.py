"""Arms of the residual_gradient study, their layers, its configuration and presets."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp

from jaxseg.studies import StudyConfig


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A kind of layer: a branch W relu(x), and what is around it.

    Attributes:
        shortcut: The layer's input is added to its branch.
        norm: The branch begins with batch norm over the examples.
        scale: Factor of the branch.
        over_root_depth: The branch is divided by the square root of the number of layers.
    """

    shortcut: bool = True
    norm: bool = False
    scale: float = 1.0
    over_root_depth: bool = False

    @property
    def homogeneous(self) -> bool:
        """Twice the input gives twice the output, so that activations may be rescaled."""
        return not self.norm

    def branch_scale(self, layers: int) -> float:
        """Return the factor of each branch in a net of so many layers."""
        return 1 / math.sqrt(layers) if self.over_root_depth else self.scale


ARMS: dict[str, Arm] = {
    "plain": Arm(shortcut=False),
    "plain_norm": Arm(shortcut=False, norm=True),
    "residual": Arm(),
    "residual_scaled": Arm(over_root_depth=True),
    "residual_norm": Arm(norm=True),
    "residual_zero": Arm(scale=0.0),
}
LABELS = {
    "plain": "plain",
    "plain_norm": "plain, batch norm",
    "residual": "residual",
    "residual_scaled": "residual, branches / √L",
    "residual_norm": "residual, batch norm",
    "residual_zero": "residual, branches 0",
}
"""Arm -> its name for people."""
SHATTERED = tuple(name for name, arm in ARMS.items() if arm.scale)
"""The arms whose gradients change direction from layer to layer."""


def make_layer(
    arm: Arm, layers: int, *, constant: bool = False
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Build `layer(weights, x) -> x` of an arm.

    Args:
        arm: The arm.
        layers: Number of layers of the net.
        constant: Batch norm's statistics are constants to autodiff.
    """
    scale = arm.branch_scale(layers)

    def layer(weights, x):
        branch = scale * jax.nn.relu(batch_norm(x, constant=constant) if arm.norm else x) @ weights
        return x + branch if arm.shortcut else branch

    return layer


def batch_norm(x: jax.Array, *, constant: bool = False) -> jax.Array:
    """Subtract each feature's mean over the examples, and divide by its standard deviation.

    Args:
        x: (examples, features).
        constant: Mean and standard deviation are constants to autodiff.
    """
    statistics = jnp.mean(x, 0, keepdims=True), jnp.var(x, 0, keepdims=True)
    mean, variance = jax.lax.stop_gradient(statistics) if constant else statistics
    return (x - mean) * jax.lax.rsqrt(variance)


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """The study.

    Attributes:
        layers: Depth of the nets whose profiles are measured.
        depths: Depths of the nets whose gradients at the input are compared.
        width: Width of all layers but those of the parts "batches" and "widths".
        examples: Inputs of each net, one batch for batch norm.
        seeds: Random nets; with --resume, parts measured with fewer are measured anew.
        neighbor_layers: Depth of the nets whose inputs are near each other.
        angles: Number of angles between these inputs.
        batch_layers: Depth of the nets of the part "batches".
        batch_width: Width of these nets.
        batches: Batch sizes of these nets, which are run with a ReLU and without an activation.
        narrow_width: Width of the nets of the part "widths".
        narrow_layers: Depth of these nets.
        narrow_seeds: Number of these nets; more may be asked for with --resume.
        nets_at_once: Nets measured together on each core.
    """

    out: Path = Path("runs/residual_gradient")
    layers: int = 64
    depths: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    width: int = 256
    examples: int = 128
    seeds: int = 128
    neighbor_layers: int = 32
    angles: int = 24
    batch_layers: int = 16
    batch_width: int = 512
    batches: tuple[int, ...] = (8, 32, 128)
    narrow_width: int = 64
    narrow_layers: int = 16
    narrow_seeds: int = 8192
    nets_at_once: int = 1

    may_differ: ClassVar[tuple[str, ...]] = (
        *StudyConfig.may_differ,
        "seeds",
        "narrow_seeds",
        "nets_at_once",
    )
    """Seeds may be added: every row says how many it was measured over."""

    def __post_init__(self):
        """Refuse what cannot be measured."""
        super().__post_init__()
        self.require(1, "layers", "depths", "width", "neighbor_layers", "angles", "nets_at_once")
        self.require(1, "narrow_width", "narrow_layers", "batch_width")
        # Correlations need two examples, and standard deviations two seeds.
        self.require(2, "examples", "seeds", "narrow_seeds")
        # Growth is measured between the second layer and the last but two, and theory's
        # (B - 2) / (B - 3) needs four examples.
        self.require(4, "batch_layers", "batches")
        for name in ("depths", "batches"):
            values = getattr(self, name)
            if list(values) != sorted({*values}):
                raise ValueError(f"{name}={values} must rise, each number once.")

    @property
    def part_seeds(self) -> dict[str, int]:
        """Part -> random nets that it is measured over."""
        return {
            "profiles": self.seeds,
            "depths": self.seeds,
            "neighbors": self.seeds,
            "batches": max(8, self.seeds // 4),
            "widths": self.narrow_seeds,
            "paths": 8,
        }


PRESETS = {
    "tiny": Config(
        layers=4,
        depths=(1, 2, 4),
        width=16,
        examples=8,
        seeds=4,
        neighbor_layers=2,
        angles=3,
        batch_layers=5,
        batch_width=16,
        batches=(8,),
        narrow_width=8,
        narrow_layers=3,
        narrow_seeds=32,
    ),
    "quick": Config(),
    "full": Config(
        layers=128,
        depths=(1, 2, 4, 8, 16, 32, 64, 128),
        width=512,
        seeds=512,
        angles=48,
        neighbor_layers=64,
        narrow_seeds=65536,
    ),
}
