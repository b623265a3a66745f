"""Arms, runs, configuration and presets of the trainability study."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from experiments.trainability.nets import Member
from jaxseg.analysis import mean_field
from jaxseg.studies import Row, StudyConfig

PHASES = ("plain", "residual")
"""Arms of the phase diagram."""
SCALES = ("1/sqrt(L)", "unscaled", "zero")
"""Arms of depth transfer: branches divided by sqrt(L), as they are, and times a learned scale that
starts at 0."""
LABELS = {
    "plain": "plain",
    "residual": "residual, branches / √L",
    "1/sqrt(L)": "branches / √L",
    "unscaled": "unscaled",
    "zero": "learned scale from 0",
}
"""Arm -> its name for people."""
HE = 2.0
"""Weight variance of the ReLU nets of depth transfer."""
REACH = 6
"""Depth scales that a net trains through (Schoenholz et al. 2017)."""
LEAST_VARIANCE = 1e-3
"""Variance of the inputs where the fixed point of a net's variance is 0."""


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """The study: the phase diagram, and depth transfer, whose fields begin with "block".

    Attributes:
        window: Height and width of a neighborhood in pixels, odd.
        batch_size: Examples a step.
        examples: Neighborhoods that the nets of the phase diagram are to learn.
        bias_variance: Variance of their biases.
        weight_variances: Variances of their weights times the width, rising.
        depths: Their layers, rising.
        width: Features of their layers.
        steps: Steps of each run.
        seeds: Runs of each arm, weight variance, depth and learning rate.
        learning_rates: Their learning rates.
        block_examples: Neighborhoods that the nets of depth transfer are to learn: more, so that
            the rate and not the data sets what is left of the loss.
        block_depths: Their depths in residual blocks, rising.
        block_layers: Dense layers in a block; each number is a kind of block.
        block_width: Features of their layers.
        block_steps: Steps of each run.
        block_seeds: Runs of each arm, kind of block, depth and learning rate.
        block_learning_rates: Their learning rates.
    """

    out: Path = Path("runs/trainability")
    window: int = 15
    batch_size: int = 32
    examples: int = 128
    bias_variance: float = 0.05
    weight_variances: tuple[float, ...] = (0.8, 1.05, 1.3, 1.5, 1.65, 1.76, 1.9, 2.2, 2.7, 3.4)
    depths: tuple[int, ...] = (8, 16, 32, 64, 128)
    width: int = 64
    steps: int = 150
    seeds: int = 2
    learning_rates: tuple[float, ...] = (2**-8, 2**-6)
    block_examples: int = 512
    block_depths: tuple[int, ...] = (4, 8, 16, 32, 64)
    block_layers: tuple[int, ...] = (1, 2)
    block_width: int = 32
    block_steps: int = 100
    block_seeds: int = 3
    block_learning_rates: tuple[float, ...] = tuple(2.0**n for n in range(-10, 2))

    may_differ: ClassVar[tuple[str, ...]] = (
        *StudyConfig.may_differ,
        "weight_variances",
        "depths",
        "seeds",
        "learning_rates",
        "block_depths",
        "block_layers",
        "block_seeds",
        "block_learning_rates",
    )
    """All of these may be added to: every row says what it was made with."""

    def __post_init__(self):
        """Refuse what cannot be compared."""
        super().__post_init__()
        self.require(1, "depths", "block_depths", "block_layers", "seeds", "block_seeds")
        self.require(1, "steps", "block_steps", "width", "block_width", "batch_size")
        self.require(1, "examples", "block_examples", "window")
        self.require(0, "bias_variance")
        for name in ("depths", "block_depths", "weight_variances"):
            values = getattr(self, name)
            if not values or list(values) != sorted({*values}):
                raise ValueError(f"{name}={values} must rise: the first is compared to the last.")
        for name in ("weight_variances", "learning_rates", "block_learning_rates", "block_layers"):
            values = getattr(self, name)
            positive = all(0 < value < math.inf for value in values)
            if not values or not positive or len({*values}) < len(values):
                raise ValueError(f"{name}={values}: give positive numbers, each once.")
        if self.window % 2 == 0:
            raise ValueError(f"window={self.window} has no pixel in its middle: give an odd one.")


PRESETS = {
    "tiny": Config(
        window=5,
        batch_size=16,
        examples=64,
        weight_variances=(0.5, 1.76, 3.0),
        depths=(2, 6),
        width=16,
        steps=20,
        learning_rates=(2**-5, 2**-3),
        block_examples=64,
        block_depths=(2, 4),
        block_layers=(1,),
        block_width=8,
        block_steps=10,
        block_seeds=2,
        block_learning_rates=(2**-6, 2**-3, 1.0),
    ),
    "quick": Config(),
    "full": Config(
        weight_variances=(
            *(0.7, 0.9, 1.05, 1.2, 1.35, 1.5, 1.6, 1.7),
            *(1.76, 1.85, 2.0, 2.2, 2.5, 2.9, 3.4, 4.0),
        ),
        depths=(8, 16, 32, 64, 128, 256),
        width=128,
        steps=400,
        seeds=5,
        learning_rates=(2**-10, 2**-8, 2**-6, 2**-4),
        block_depths=(4, 8, 16, 32, 64, 128),
        block_width=64,
        block_steps=300,
        block_seeds=5,
    ),
}
Run = tuple[Row, Member]
"""The columns of results.csv that name a run, and the run."""


def plain_layer(config: Config, weight_variance: float) -> mean_field.Layer:
    """Describe a layer of the phase diagram's plain nets, for the theory."""
    return mean_field.Layer(mean_field.TANH, weight_variance, config.bias_variance)


def expected_depths(config: Config, weight_variances: Sequence[float]) -> np.ndarray:
    """Give the depths to which theory expects plain nets to train, 6 xi_c."""
    layers = [plain_layer(config, variance) for variance in weight_variances]
    return REACH * np.array([mean_field.depth_scales(layer).correlation for layer in layers])


def phase_runs(config: Config, depth: int) -> list[Run]:
    """List the runs of the phase diagram at one depth.

    Features start at the plain net's fixed point q*: then only the correlation between examples
    changes from layer to layer, as the depth scale xi_c supposes.
    """
    runs = []
    fixed = {v: mean_field.fixed_variance(plain_layer(config, v)) for v in config.weight_variances}
    for arm, variance, seed, rate in itertools.product(
        PHASES, config.weight_variances, range(config.seeds), config.learning_rates
    ):
        member = Member(
            seed=seed,
            weight_variance=variance,
            bias_variance=config.bias_variance,
            input_variance=max(fixed[variance], LEAST_VARIANCE),
            skip=float(arm == "residual"),
            scale=1.0 if arm == "plain" else depth**-0.5,
            learn_scale=0.0,
            learning_rate=rate,
        )
        runs.append((_row("phase", arm, 1, depth, member), member))
    return runs


def transfer_runs(config: Config, depth: int, block_layers: int) -> list[Run]:
    """List the runs of depth transfer at one depth, of ReLU nets at He initialization."""
    scales = {"1/sqrt(L)": 1 / math.sqrt(depth), "unscaled": 1.0, "zero": 0.0}
    runs = []
    for arm, seed, rate in itertools.product(
        SCALES, range(config.block_seeds), config.block_learning_rates
    ):
        member = Member(
            seed=seed,
            weight_variance=HE,
            bias_variance=0.0,
            input_variance=1.0,
            skip=1.0,
            scale=scales[arm],
            learn_scale=float(arm == "zero"),
            learning_rate=rate,
        )
        runs.append((_row("transfer", arm, block_layers, depth, member), member))
    return runs


def _row(part: str, arm: str, block_layers: int, depth: int, member: Member) -> Row:
    return {
        "part": part,
        "arm": arm,
        "block_layers": block_layers,
        "depth": depth,
        "weight_variance": member.weight_variance,
        "seed": member.seed,
        "learning_rate": member.learning_rate,
    }
