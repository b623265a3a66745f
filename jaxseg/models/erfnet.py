"""ERFNet: residual blocks of one-dimensional, dilated convolutions between up- and downsampling."""

import functools

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
from jaxseg.nn import BatchNorm, Conv, UpConv, dropout
from jaxseg.nn.norm import NormFactory

_STRIDE_4_BLOCKS = 5
_DILATIONS = (2, 4, 8, 16) * 2
_DECODER_BLOCKS = 2
_EPSILON = 1e-3
"""Added to the variance, as in the authors' code."""


@suggest_arguments
class ERFNet(nnx.Module):
    """ERFNet (Romera et al. 2018, table I, doi:10.1109/TITS.2017.2750080).

    Three downsamplers lead to stride 8, with five blocks at stride 4 and eight, dilated by 2 to 16
    twice over, at stride 8; two upconvolutions with two blocks each lead back, and a third one
    classifies. There are no long skips. Odd sizes are rounded up when they are halved; what an
    upconvolution makes beyond the size above is cut off.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        inputs: Number of channels of the images, fewer than the first of `widths`.
        widths: Number of channels at strides 2, 4 and 8.
        dropout: Dropout rate of whole channels in the blocks at stride 8, in training when a key is
            given; a tenth of it at stride 4.
        norm: Normalization, "batch" or "group".
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each block in the backward pass, to save memory.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: An argument is none of the values that it may have.
    """

    def __init__(
        self,
        *,
        classes: int,
        inputs: int = 3,
        widths: tuple[int, int, int] = (16, 64, 128),
        dropout: float = 0.3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_choice("ERFNet", "norm", norm, NORMS)
        check_choice("ERFNet", "dtype", dtype, (None, "float32", "bfloat16"))
        check_positive("ERFNet", classes=classes, inputs=inputs)
        check_rate("ERFNet", "dropout", dropout)
        if len(widths) != 3 or not inputs < widths[0] < widths[1] < widths[2]:
            raise ValueError(
                f"ERFNet: widths={widths!r} must be three integers that increase, the first above "
                f"inputs={inputs}: a downsampler adds channels to those that it pools."
            )
        self.dtype: ComputeDtype | None = dtype
        self.remat = remat
        make_norm: NormFactory = (
            functools.partial(BatchNorm, epsilon=_EPSILON) if norm == "batch" else NORMS[norm]
        )
        first, second, third = widths
        down = functools.partial(Downsampler, norm=make_norm, rngs=rngs)
        up = functools.partial(Upsampler, norm=make_norm, rngs=rngs)
        block = functools.partial(NonBottleneck1D, norm=make_norm, rngs=rngs)
        self.down = nnx.List([down(inputs, first), down(first, second), down(second, third)])
        self.middle = nnx.List(
            block(second, dilation=1, dropout=dropout / 10) for _ in range(_STRIDE_4_BLOCKS)
        )
        self.deep = nnx.List(block(third, dilation=d, dropout=dropout) for d in _DILATIONS)
        self.up = nnx.List([up(third, second), up(second, first)])
        self.refine = nnx.List(
            nnx.List(block(width, dilation=1, dropout=0.0) for _ in range(_DECODER_BLOCKS))
            for width in (second, first)
        )
        self.classifier = UpConv(first, classes, 2, bias=True, rngs=rngs)

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
        run = functools.partial(run_block, train=train, remat=self.remat)
        count = len(self.middle) + len(self.deep)
        keys = [None] * count if key is None or not train else list(jax.random.split(key, count))
        sizes = [images.shape[1:-1]]
        x = to_compute_dtype(images, self.dtype)
        for level, down in enumerate(self.down):
            x = run(down, x)
            sizes.append(x.shape[1:-1])
            blocks = ((), self.middle, self.deep)[level]
            for block in blocks:
                x = run(block, x, keys.pop(0))
        for up, blocks, size in zip(self.up, self.refine, sizes[2:0:-1], strict=True):
            x = run(up, x)[:, : size[0], : size[1]]
            for block in blocks:
                x = run(block, x, None)
        height, width = sizes[0]
        return to_float32(self.classifier(x)[:, :height, :width], images)


class Downsampler(nnx.Module):
    """A 3x3 convolution of stride 2 beside a pooling, concatenated, with norm and ReLU.

    Args:
        inputs: Number of channels of the input, which the pooling keeps.
        features: Number of channels of the output.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
    """

    def __init__(self, inputs: int, features: int, *, norm: NormFactory, rngs: nnx.Rngs):
        self.conv = Conv(inputs, features - inputs, stride=2, padding=1, bias=True, rngs=rngs)
        self.norm = norm(features)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to (batch, height / 2, width / 2, features)."""
        x = jnp.concatenate([self.conv(x), ops.max_pool(x, 2, padding="same")], axis=-1)
        return jax.nn.relu(self.norm(x, train=train))  # type: ignore[operator]


class Upsampler(nnx.Module):
    """A 3x3 upconvolution of stride 2 with norm and ReLU.

    Args:
        inputs: Number of channels of the input.
        features: Number of channels of the output.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
    """

    def __init__(self, inputs: int, features: int, *, norm: NormFactory, rngs: nnx.Rngs):
        self.up = UpConv(inputs, features, 3, padding=1, output_padding=1, bias=True, rngs=rngs)
        self.norm = norm(features)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to (batch, 2 height, 2 width, features)."""
        return jax.nn.relu(self.norm(self.up(x), train=train))  # type: ignore[operator]


class NonBottleneck1D(nnx.Module):
    """A residual block of 3x1, 1x3, and dilated 3x1 and 1x3 convolutions (fig. 2 c of the paper).

    Args:
        features: Number of channels.
        dilation: Dilation of the second pair.
        dropout: Dropout rate of the branch's channels, in training when a key is given.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
    """

    def __init__(
        self, features: int, *, dilation: int, dropout: float, norm: NormFactory, rngs: nnx.Rngs
    ):
        line = functools.partial(Conv, features, features, bias=True, rngs=rngs)
        self.vertical = line((3, 1))
        self.horizontal = line((1, 3))
        self.norm = norm(features)
        self.dilated_vertical = line((3, 1), dilation=(dilation, 1))
        self.dilated_horizontal = line((1, 3), dilation=(1, dilation))
        self.dilated_norm = norm(features)
        self.dropout = dropout

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, *, train: bool = False
    ) -> jax.Array:
        """Map (batch, height, width, features) to the same shape."""
        y = self.horizontal(jax.nn.relu(self.vertical(x)))
        y = jax.nn.relu(self.norm(y, train=train))  # type: ignore[operator]
        y = self.dilated_horizontal(jax.nn.relu(self.dilated_vertical(y)))
        y = self.dilated_norm(y, train=train)  # type: ignore[operator]
        # Whole channels: a factor for each channel of each example.
        kept = dropout(jnp.ones((len(x), 1, 1, x.shape[-1]), x.dtype), self.dropout, key)
        return jax.nn.relu(x + (y if key is None else y * kept))
