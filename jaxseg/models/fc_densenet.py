"""FC-DenseNet, the Tiramisu: a U-Net of densely connected layers."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.models._arguments import (
    ComputeDtype,
    Norm,
    check_choice,
    check_positive,
    check_rate,
    suggest_arguments,
)
from jaxseg.models._layers import NORMS, run_block, to_compute_dtype, to_float32
from jaxseg.models.heads import classifier
from jaxseg.nn import Conv, UpConv, dropout
from jaxseg.nn.norm import NormFactory

FC_DENSENETS: dict[int, tuple[tuple[int, ...], int]] = {
    56: ((4, 4, 4, 4, 4, 4), 12),
    67: ((5, 5, 5, 5, 5, 5), 16),
    103: ((4, 5, 7, 10, 12, 15), 16),
}
"""Number of layers in a published net's name -> layers of each level, and growth (table 2)."""


@suggest_arguments
class FCDenseNet(nnx.Module):
    """FC-DenseNet (Jégou et al. 2017, section 3 and table 2, arXiv:1611.09326).

    Every layer (norm, ReLU, 3x3 convolution, dropout) sees the features of all before it in its
    block and adds `growth` of its own. On the way up only a block's new features are upsampled, by
    a 3x3 upconvolution, and concatenated with the skip. Odd sizes are rounded up when they are
    halved; what an upconvolution makes beyond its skip is cut off.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        inputs: Number of channels of the images.
        layers: Number of layers of the block of each level, the finest first and the lowest,
            which the way down and the way up share, last.
        growth: Number of features that each layer adds.
        stem: Number of channels of the first convolution.
        dropout: Dropout rate behind each convolution of layers and transitions down, in training
            when a key is given.
        norm: Normalization, "batch" or "group".
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each layer in the backward pass, to save memory.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: An argument is none of the values that it may have.

    Example:
        >>> from flax import nnx
        >>> from jaxseg import models
        >>> layers, growth = models.FC_DENSENETS[103]
        >>> net = nnx.eval_shape(
        ...     lambda: models.FCDenseNet(
        ...         classes=11, layers=layers, growth=growth, rngs=nnx.Rngs(0)
        ...     )
        ... )
        >>> net.classifier.kernel.shape
        (1, 1, 256, 11)
    """

    def __init__(
        self,
        *,
        classes: int,
        inputs: int = 3,
        layers: tuple[int, ...] = FC_DENSENETS[56][0],
        growth: int = FC_DENSENETS[56][1],
        stem: int = 48,
        dropout: float = 0.2,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_choice("FCDenseNet", "norm", norm, NORMS)
        check_choice("FCDenseNet", "dtype", dtype, (None, "float32", "bfloat16"))
        check_positive("FCDenseNet", classes=classes, inputs=inputs, growth=growth, stem=stem)
        check_rate("FCDenseNet", "dropout", dropout)
        if not layers or min(layers) < 1:
            raise ValueError(
                f"FCDenseNet: layers={layers!r} must be integers, one or more, and at least 1."
            )
        self.dtype: ComputeDtype | None = dtype
        self.remat, self.dropout = remat, dropout
        make = functools.partial(DenseUnit, norm=NORMS[norm], dropout=dropout, rngs=rngs)
        self.stem = Conv(inputs, stem, bias=True, rngs=rngs)
        width, skips = stem, []
        down, transitions = [], []
        for count in layers[:-1]:
            down.append(_dense_block(make, width, growth, count))
            width += growth * count
            skips.append(width)
            transitions.append(make(width, width, 1))
        self.down, self.transitions = nnx.List(down), nnx.List(transitions)
        self.lowest = _dense_block(make, width, growth, layers[-1])
        ups, up = [], []
        for level in reversed(range(len(skips))):
            new = growth * layers[level + 1]
            ups.append(UpConv(new, new, 3, padding="valid", bias=True, rngs=rngs))
            width = skips[level] + new
            up.append(_dense_block(make, width, growth, layers[level]))
            width += growth * layers[level]
        self.ups, self.up = nnx.List(ups), nnx.List(up)
        last = width if skips else width + growth * layers[-1]
        self.classifier = classifier(last, classes, rngs)

    def __call__(
        self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Score every class at every pixel.

        Args:
            images: Images (batch, height, width, inputs), floating, of any height and width.
            train: Normalize by the batch's statistics, and update the running ones in place.
            key: JAX PRNG key for dropout in training; without one nothing is dropped.

        Returns:
            Logits (batch, height, width, classes), float32, or float64 for float64 images.
        """
        keys = _Keys(key if train else None)
        x = self.stem(to_compute_dtype(images, self.dtype))
        skips = []
        for block, transition in zip(self.down, self.transitions, strict=True):
            x, _ = self._run_block(block, x, keys, train)
            skips.append(x)
            x = run_block(transition, x, keys.draw(), train=train, remat=self.remat)
            x = ops.max_pool(x, 2, padding="same")
        x, new = self._run_block(self.lowest, x, keys, train)
        for upsample, block, skip in zip(self.ups, self.up, skips[::-1], strict=True):
            height, width = skip.shape[1:-1]
            raised = upsample(new)[:, :height, :width]
            x, new = self._run_block(block, jnp.concatenate([skip, raised], -1), keys, train)
        return to_float32(self.classifier(x), images)

    def _run_block(
        self, block: Sequence[nnx.Module], x: jax.Array, keys: "_Keys", train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Run the layers of a block: all features, and the new ones alone."""
        new = []
        for layer in block:
            new.append(run_block(layer, x, keys.draw(), train=train, remat=self.remat))
            x = jnp.concatenate([x, new[-1]], axis=-1)
        return x, jnp.concatenate(new, axis=-1)


class DenseUnit(nnx.Module):
    """Norm, ReLU, convolution and dropout: a layer of a dense block, or a transition down.

    Args:
        inputs: Number of channels of the input.
        features: Number of channels of the output.
        window: Number of taps per axis.
        norm: Function that makes the normalization of a given number of channels.
        dropout: Dropout rate, in training when a key is given.
        rngs: Random number generators; the `params` stream draws the kernels.
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        window: int = 3,
        *,
        norm: NormFactory,
        dropout: float,
        rngs: nnx.Rngs,
    ):
        self.norm = norm(inputs)
        self.conv = Conv(inputs, features, window, bias=True, rngs=rngs)
        self.dropout = dropout

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """Map (batch, height, width, inputs) to (batch, height, width, features)."""
        x = self.conv(jax.nn.relu(self.norm(x, train=train)))  # type: ignore[operator]
        return dropout(x, self.dropout, key)


class _Keys:
    """Draws a key for each layer, or None where there is none."""

    def __init__(self, key: jax.Array | None):
        self.key, self.count = key, 0

    def draw(self) -> jax.Array | None:
        self.count += 1
        return None if self.key is None else jax.random.fold_in(self.key, self.count)


def _dense_block(make, width: int, growth: int, count: int) -> nnx.List:
    """Make the layers of a block, which see `growth` features more each."""
    return nnx.List(make(width + growth * n, growth) for n in range(count))
