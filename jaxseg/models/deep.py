"""DeepNet: the depth study's net, a stack of equal blocks at full resolution."""

import functools
import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.nn import BatchNorm, Bias, Conv, GroupNorm, PreActivation, Residual, Stack
from jaxseg.nn.initializers import delta_orthogonal, he_normal, zeros

# Without the learned scale every norm has the parameters of `Bias`, so that all arms of a study
# have equally many; a ReLU and the next kernel make up for it.
_NORMS = {
    "none": Bias,
    "batch": functools.partial(BatchNorm, scale=False),
    "group": functools.partial(GroupNorm, scale=False),
}
_ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}
_INITIALIZERS = {"he": he_normal, "delta_orthogonal": delta_orthogonal}


@dataclass(frozen=True)
class DeepNetConfig:
    """What a `DeepNet` is made of.

    Attributes:
        classes: channels of the logits.
        inputs: channels of the images.
        features: channels of every block.
        blocks: number of blocks, of two convolutions each.
        residual: add each block's input to its output.
        branch_scale: factor on the residual branch; None means 1 / sqrt(blocks).
        learn_scale: make that factor a parameter of each block.
        zero_last: start the last kernel of each block at zero.
        dilation: of the blocks' convolutions.
        norm: the normalisation before each activation.
        activation: the nonlinearity before each convolution but the first.
        kernel_init: initialiser of the blocks' kernels.
        weight_variance: its gain: variance x fan-in for "he", squared singular value for
            "delta_orthogonal".
        checkpoint_every: as in `nn.Stack`.
    """

    classes: int
    inputs: int = 3
    features: int = 16
    blocks: int = 8
    residual: bool = True
    branch_scale: float | None = None
    learn_scale: bool = False
    zero_last: bool = False
    dilation: int = 1
    norm: Literal["none", "batch", "group"] = "none"
    activation: Literal["relu", "tanh"] = "relu"
    kernel_init: Literal["he", "delta_orthogonal"] = "he"
    weight_variance: float = 2.0
    checkpoint_every: int = 0

    def __post_init__(self):
        """Refuse names and numbers that make no net."""
        for field, known in (
            ("norm", _NORMS),
            ("activation", _ACTIVATIONS),
            ("kernel_init", _INITIALIZERS),
        ):
            if getattr(self, field) not in known:
                raise ValueError(
                    f"DeepNet: {field}={getattr(self, field)!r} is unknown: give one of "
                    f"{sorted(known)}."
                )
        for field in ("classes", "inputs", "features", "blocks", "dilation"):
            if getattr(self, field) < 1:
                raise ValueError(f"DeepNet: {field}={getattr(self, field)} must be at least 1.")

    @property
    def convolutions(self) -> int:
        """The net's depth: stem, two a block, head."""
        return 2 * self.blocks + 2

    @property
    def scale(self) -> float:
        """The factor on each residual branch."""
        return 1 / math.sqrt(self.blocks) if self.branch_scale is None else self.branch_scale


class DeepNet(nnx.Module):
    """3x3 stem, `blocks` equal blocks at full resolution, norm, activation, 1x1 head.

    `plain` and residual nets of one size differ by the shortcut alone and have the same
    parameters.

    Args:
        rngs: draws the kernels.
        fields: the fields of `DeepNetConfig`.

    Raises:
        ValueError: as `DeepNetConfig`.
    """

    def __init__(self, *, rngs: nnx.Rngs, **fields):
        config = DeepNetConfig(**fields)
        norm = _NORMS[config.norm]
        self.stem = Conv(config.inputs, config.features, kernel_init=he_normal(1.0), rngs=rngs)
        self.stack = Stack(
            functools.partial(_block, config),
            config.blocks,
            checkpoint_every=config.checkpoint_every,
            rngs=rngs,
        )
        self.norm = norm(config.features)
        self.activation = _ACTIVATIONS[config.activation]
        self.head = Conv(
            config.features, config.classes, 1, bias=True, kernel_init=he_normal(1.0), rngs=rngs
        )
        self.config = config

    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, inputs) -> logits (batch, height, width, classes)."""
        return self._logits(self.stack(self.stem(images), train=train), train)

    def trace(
        self, images: jax.Array, *, train: bool = False, perturbations: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Logits and every block's input; see `nn.Stack.trace`."""
        x, inputs = self.stack.trace(self.stem(images), train=train, perturbations=perturbations)
        return self._logits(x, train), inputs

    def _logits(self, x: jax.Array, train: bool) -> jax.Array:
        return self.head(self.activation(self.norm(x, train=train)))


def _block(config: DeepNetConfig, rngs: nnx.Rngs) -> nnx.Module:
    branch = PreActivation(
        config.features,
        dilation=config.dilation,
        norm=_NORMS[config.norm],
        activation=_ACTIVATIONS[config.activation],
        kernel_init=_INITIALIZERS[config.kernel_init](config.weight_variance),
        last_init=zeros() if config.zero_last else None,
        rngs=rngs,
    )
    if not config.residual:
        return branch
    return Residual(branch, scale=config.scale, learn_scale=config.learn_scale)
