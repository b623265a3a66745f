"""DeepNet: the depth study's net, a stack of equal blocks at full resolution."""

import functools
import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.models._arguments import check_choice, check_positive, suggest_arguments
from jaxseg.nn import BatchNorm, Bias, Conv, GroupNorm, PreActivation, Residual, Stack
from jaxseg.nn.initializers import delta_orthogonal, he_normal, zeros

# Without the learned scale every norm has the parameters of `Bias`, so that all arms of a study
# have the same number. A ReLU and the next kernel can express the scale.
_NORMS = {
    "none": Bias,
    "batch": functools.partial(BatchNorm, scale=False),
    "group": functools.partial(GroupNorm, scale=False),
}
_ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}
_INITIALIZERS = {"he": he_normal, "delta_orthogonal": delta_orthogonal}

BlockNorm = Literal["none", "batch", "group"]
Activation = Literal["relu", "tanh"]
KernelInit = Literal["he", "delta_orthogonal"]


@suggest_arguments
@dataclass(frozen=True, kw_only=True)
class DeepNetConfig:
    """Configuration of a `DeepNet`, with the arguments of its constructor.

    Attributes:
        classes: Number of classes, which is the number of channels of the logits.
        inputs: Number of channels of the images.
        features: Number of channels of every block.
        blocks: Number of blocks, of two convolutions each.
        residual: Add each block's input to its output.
        branch_scale: Factor on the residual branch; None means 1 / √blocks.
        learn_scale: Make this factor a parameter of each block.
        zero_last: Initialize the last kernel of each block with zeros.
        dilation: Dilation of the blocks' convolutions.
        norm: Normalization before each activation, "none", "batch" or "group".
        activation: Nonlinearity before each convolution but the first, "relu" or "tanh".
        kernel_init: Initializer of the blocks' kernels, "he" or "delta_orthogonal".
        weight_variance: Gain of the initializer: variance times fan-in for "he", squared singular
            value for "delta_orthogonal".
        checkpoint_every: Number of blocks between the activations kept for the backward pass; 0
            keeps all activations.

    Example:
        >>> from jaxseg import models
        >>> config = models.DeepNetConfig(classes=5, blocks=100)
        >>> config.convolutions, config.scale
        (202, 0.1)
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
    norm: BlockNorm = "none"
    activation: Activation = "relu"
    kernel_init: KernelInit = "he"
    weight_variance: float = 2.0
    checkpoint_every: int = 0

    def __post_init__(self):
        """Check names and numbers."""
        check_choice("DeepNet", "norm", self.norm, sorted(_NORMS))
        check_choice("DeepNet", "activation", self.activation, sorted(_ACTIVATIONS))
        check_choice("DeepNet", "kernel_init", self.kernel_init, sorted(_INITIALIZERS))
        check_positive(
            "DeepNet",
            classes=self.classes,
            inputs=self.inputs,
            features=self.features,
            blocks=self.blocks,
            dilation=self.dilation,
        )

    @property
    def convolutions(self) -> int:
        """Depth of the net in convolutions: stem, two in each block, head."""
        return 2 * self.blocks + 2

    @property
    def scale(self) -> float:
        """Factor on each residual branch."""
        return 1 / math.sqrt(self.blocks) if self.branch_scale is None else self.branch_scale


@suggest_arguments
class DeepNet(nnx.Module):
    """3x3 stem, `blocks` equal blocks at full resolution, norm, activation, 1x1 head.

    Plain and residual nets of one size differ by the shortcut alone and have the same parameters.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        inputs: Number of channels of the images.
        features: Number of channels of every block.
        blocks: Number of blocks, of two convolutions each.
        residual: Add each block's input to its output.
        branch_scale: Factor on the residual branch; None means 1 / √blocks.
        learn_scale: Make this factor a parameter of each block.
        zero_last: Initialize the last kernel of each block with zeros.
        dilation: Dilation of the blocks' convolutions.
        norm: Normalization before each activation, "none", "batch" or "group".
        activation: Nonlinearity before each convolution but the first, "relu" or "tanh".
        kernel_init: Initializer of the blocks' kernels, "he" or "delta_orthogonal".
        weight_variance: Gain of the initializer: variance times fan-in for "he", squared singular
            value for "delta_orthogonal".
        checkpoint_every: Number of blocks between the activations kept for the backward pass; 0
            keeps all activations.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: An argument is none of the values that it may have.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxseg import models, nn
        >>> init, apply = nn.functional(lambda rngs: models.DeepNet(classes=5, blocks=9, rngs=rngs))
        >>> params, stats = jax.eval_shape(init, jax.random.key(0))
        >>> logits, _ = jax.eval_shape(apply, params, stats, jnp.zeros((1, 7, 9, 3)))
        >>> logits.shape
        (1, 7, 9, 5)
    """

    def __init__(
        self,
        *,
        classes: int,
        inputs: int = 3,
        features: int = 16,
        blocks: int = 8,
        residual: bool = True,
        branch_scale: float | None = None,
        learn_scale: bool = False,
        zero_last: bool = False,
        dilation: int = 1,
        norm: BlockNorm = "none",
        activation: Activation = "relu",
        kernel_init: KernelInit = "he",
        weight_variance: float = 2.0,
        checkpoint_every: int = 0,
        rngs: nnx.Rngs,
    ):
        self.config = config = DeepNetConfig(
            classes=classes,
            inputs=inputs,
            features=features,
            blocks=blocks,
            residual=residual,
            branch_scale=branch_scale,
            learn_scale=learn_scale,
            zero_last=zero_last,
            dilation=dilation,
            norm=norm,
            activation=activation,
            kernel_init=kernel_init,
            weight_variance=weight_variance,
            checkpoint_every=checkpoint_every,
        )
        self.stem = Conv(inputs, features, kernel_init=he_normal(1.0), rngs=rngs)
        self.stack = Stack(
            functools.partial(_make_block, config),
            blocks,
            checkpoint_every=checkpoint_every,
            rngs=rngs,
        )
        self.norm = _NORMS[norm](features)
        self.activation = _ACTIVATIONS[activation]
        self.head = Conv(features, classes, 1, bias=True, kernel_init=he_normal(1.0), rngs=rngs)

    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Score every class at every pixel.

        Args:
            images: Images (batch, height, width, inputs), floating, of any height and width.
            train: Normalize by the batch's statistics, and update the running ones in place.

        Returns:
            Logits (batch, height, width, classes).
        """
        return self._logits(self.stack(self.stem(images), train=train), train)

    def trace(
        self, images: jax.Array, *, train: bool = False, perturbations: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Compute the logits, and every block's input.

        Args:
            images: Images (batch, height, width, inputs), floating, of any height and width.
            train: Normalize by the batch's statistics, and update the running ones in place.
            perturbations: Arrays (blocks, batch, height, width, features) that are added to the
                blocks' inputs. The gradient with respect to them, at zero, is the gradient with
                respect to each block's input.

        Returns:
            Logits (batch, height, width, classes), and inputs (blocks, batch, height, width,
            features).
        """
        x, inputs = self.stack.trace(self.stem(images), train=train, perturbations=perturbations)
        return self._logits(x, train), inputs

    def _logits(self, x: jax.Array, train: bool) -> jax.Array:
        return self.head(self.activation(self.norm(x, train=train)))


def _make_block(config: DeepNetConfig, rngs: nnx.Rngs) -> nnx.Module:
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
