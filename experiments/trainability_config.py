"""What the study of trainability runs: its configuration, presets and runs."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

from trainability_nets import Member

from jaxseg.analysis import mean_field

PHASES = ("plain", "residual")
SCALES = ("1/sqrt(L)", "unscaled", "zero")
"""Branches of the second part: divided by sqrt(L); as they are; times a learned scale that is 0."""
HE = 2.0


@dataclass(frozen=True)
class Config:
    """What is trained, on what, and for how long.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        data_dir: where prepared data is kept; None is the user's TFDS folder.
        examples: neighbourhoods of pixels that the phase diagram's nets are to learn.
        window: height and width of a neighbourhood, odd, in pixels.
        batch_size: examples a step.
        bias_variance: of the phase diagram's nets.
        weight_variances: of the phase diagram's nets.
        depths: layers of the phase diagram's nets.
        width: features of them.
        steps: of each of their runs.
        seeds: of each of them.
        log2_rates: their learning rates, as powers of 2.
        blocks: depths of the second part, in residual blocks.
        chains: dense layers in a block.
        block_width: features.
        block_examples: neighbourhoods that are to be learned in the second part: more, so that
            the rate and not the data sets what is left of the loss.
        block_steps: of each run.
        block_seeds: of each.
        block_log2_rates: learning rates, as powers of 2.
        devices: XLA devices on a CPU; 0 is one a core.
        resume: go on with what is in `out`.
        overwrite: start again over what is in `out`.
    """

    preset: str = "quick"
    out: Path = Path("runs/trainability")
    data_dir: Path | None = None
    examples: int = 128
    window: int = 15
    batch_size: int = 32
    bias_variance: float = 0.05
    weight_variances: tuple[float, ...] = (0.8, 1.05, 1.3, 1.5, 1.65, 1.76, 1.9, 2.2, 2.7, 3.4)
    depths: tuple[int, ...] = (8, 16, 32, 64, 128)
    width: int = 64
    steps: int = 150
    seeds: int = 2
    log2_rates: tuple[int, ...] = (-8, -6)
    blocks: tuple[int, ...] = (4, 8, 16, 32, 64)
    chains: tuple[int, ...] = (1, 2)
    block_width: int = 32
    block_examples: int = 512
    block_steps: int = 100
    block_seeds: int = 3
    block_log2_rates: tuple[int, ...] = tuple(range(-10, 2))
    devices: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self):
        """Refuse what cannot be compared."""
        for name in ("weight_variances", "depths", "log2_rates", "blocks", "chains"):
            if not getattr(self, name):
                raise ValueError(f"{name}=() must hold a number or more.")
        if min(*self.depths, *self.blocks, *self.chains) < 1:
            raise ValueError("depths, blocks and chains must be 1 or more.")
        for name in ("depths", "blocks"):
            values = getattr(self, name)
            if list(values) != sorted({*values}):
                raise ValueError(f"{name}={values} must rise: the first is compared to the last.")
        if min(self.seeds, self.block_seeds, self.steps, self.block_steps) < 1:
            raise ValueError("seeds and steps, of both parts, must be 1 or more.")
        if self.window % 2 == 0:
            raise ValueError(f"window={self.window} has no pixel in its middle: give an odd one.")


PRESETS = {
    "tiny": Config(
        preset="tiny",
        examples=64,
        block_examples=64,
        window=5,
        batch_size=16,
        weight_variances=(0.5, 1.76, 3.0),
        depths=(2, 6),
        width=16,
        steps=20,
        seeds=2,
        log2_rates=(-5, -3),
        blocks=(2, 4),
        chains=(1,),
        block_width=8,
        block_steps=10,
        block_seeds=2,
        block_log2_rates=(-6, -3, 0),
    ),
    "quick": Config(),
    "full": Config(
        preset="full",
        depths=(8, 16, 32, 64, 128, 256),
        width=128,
        steps=400,
        seeds=5,
        weight_variances=(
            0.7,
            0.9,
            1.05,
            1.2,
            1.35,
            1.5,
            1.6,
            1.7,
            1.76,
            1.85,
            2.0,
            2.2,
            2.5,
            2.9,
            3.4,
            4.0,
        ),
        log2_rates=(-10, -8, -6, -4),
        blocks=(4, 8, 16, 32, 64, 128),
        block_width=64,
        block_steps=300,
        block_seeds=5,
    ),
}


def layer(config: Config, weight_variance: float) -> mean_field.Layer:
    """A layer of the phase diagram's plain nets, for the theory."""
    return mean_field.Layer(mean_field.TANH, weight_variance, config.bias_variance)


def phase_members(config: Config, depth: int) -> list[tuple[dict, Member]]:
    """What a row says of a run, and the run; features start at the plain net's fixed point q*.

    Then only the correlation between examples is on its way, as the depth scale xi_c supposes.
    """
    found = []
    for arm, variance, seed, log2 in itertools.product(
        PHASES, config.weight_variances, range(config.seeds), config.log2_rates
    ):
        q = max(mean_field.fixed_variance(layer(config, variance)), 1e-3)
        skip, scale = (0.0, 1.0) if arm == "plain" else (1.0, depth**-0.5)
        row = {"arm": arm, "weight_variance": variance, "seed": seed, "log2_rate": log2}
        member = Member(
            seed=seed,
            weight_variance=variance,
            bias_variance=config.bias_variance,
            input_variance=q,
            skip=skip,
            scale=scale,
            learn_scale=0.0,
            rate=2.0**log2,
        )
        found.append((row, member))
    return found


def transfer_members(config: Config, depth: int) -> list[tuple[dict, Member]]:
    """As `phase_members`, of the second part: ReLU at He's initialisation."""
    found = []
    for arm, seed, log2 in itertools.product(
        SCALES, range(config.block_seeds), config.block_log2_rates
    ):
        scale = {"1/sqrt(L)": 1 / math.sqrt(depth), "unscaled": 1.0, "zero": 0.0}[arm]
        row = {"arm": arm, "weight_variance": HE, "seed": seed, "log2_rate": log2}
        member = Member(
            seed=seed,
            weight_variance=HE,
            bias_variance=0.0,
            input_variance=1.0,
            skip=1.0,
            scale=scale,
            learn_scale=float(arm == "zero"),
            rate=2.0**log2,
        )
        found.append((row, member))
    return found
