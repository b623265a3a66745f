"""U-Net, of any depth and at any image size."""

import functools
from typing import Literal, get_args

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
from jaxseg.nn import Conv, ConvNorm, UpConv, dropout
from jaxseg.nn.norm import NormFactory

Up = Literal["upconv", "resize"]
Padding = Literal["same", "valid"]
Skips = Literal["concat", "sum", "none"]


@suggest_arguments
class UNet(nnx.Module):
    """U-Net (Ronneberger et al. 2015, arXiv:1505.04597), with a norm behind each convolution.

    Odd sizes are rounded up when they are halved; what an upconvolution makes beyond its skip is
    cut off. With "valid" padding too, the logits are those of the image's own pixels: at its edges
    the image is mirrored by as much as the convolutions take away, 184 pixels in all with five
    levels (section 2 and fig. 2). Long skips are compared by Drozdzal et al. 2016
    (arXiv:1608.04117).

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        inputs: Number of channels of the images.
        widths: Number of channels of each level, the finest first. Every level after the first
            halves the image once more.
        up: How a level is brought to the size and the channels of the one above: "upconv", by a
            2x2 upconvolution; "resize", by a 1x1 convolution and bilinear resizing.
        padding: Padding of the 3x3 convolutions, "same" or "valid", in any case. "valid" mirrors
            the image at its edges, so that they see no zeros.
        skips: How the expanding path uses the features of the contracting one: "concat", "sum" or
            "none".
        residual: Put a shortcut around the two convolutions of each block.
        norm: Normalization, "batch" or "group".
        dropout: Dropout rate of the lowest level's features, in training when a key is given.
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each block in the backward pass, to save memory.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: An argument is none of the values that it may have.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import models
        >>> def score(images):
        ...     return models.UNet(classes=5, widths=(4, 8), rngs=nnx.Rngs(0))(images)
        >>> jax.eval_shape(score, jnp.zeros((1, 7, 9, 3))).shape
        (1, 7, 9, 5)
    """

    def __init__(
        self,
        *,
        classes: int,
        inputs: int = 3,
        widths: tuple[int, ...] = (64, 128, 256, 512, 1024),
        up: Up = "upconv",
        padding: Padding = "same",
        skips: Skips = "concat",
        residual: bool = False,
        norm: Norm = "batch",
        dropout: float = 0.0,
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        for argument, value, choices in (
            ("up", up, get_args(Up)),
            ("padding", padding.lower(), get_args(Padding)),
            ("skips", skips, get_args(Skips)),
            ("norm", norm, NORMS),
            ("dtype", dtype, (None, *get_args(ComputeDtype))),
        ):
            check_choice("UNet", argument, value, choices)
        check_positive("UNet", classes=classes, inputs=inputs)
        check_rate("UNet", "dropout", dropout)
        if not widths or min(widths) < 1:
            raise ValueError(
                f"UNet: widths={widths!r} must be integers, one or more, and at least 1."
            )
        self.up, self.skips, self.dropout = up, skips, dropout
        self.valid = padding.lower() == "valid"
        self.dtype: ComputeDtype | None = dtype
        self.remat = remat
        block = functools.partial(
            UNetBlock, valid=self.valid, residual=residual, norm=NORMS[norm], rngs=rngs
        )
        pairs = zip((inputs, *widths), widths, strict=False)
        self.down = nnx.List(block(below, above) for below, above in pairs)
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.ups = nnx.List(_make_up(up, below, above, rngs) for below, above in steps)
        joined = 2 if skips == "concat" else 1
        self.merge = nnx.List(block(joined * above, above) for _, above in steps)
        self.classifier = classifier(widths[0], classes, rngs)

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
        x = to_compute_dtype(images, self.dtype)
        if self.valid:
            x = ops.mirror_pad(x, [_mirror_margins(n, len(self.ups)) for n in x.shape[1:-1]])
        run = functools.partial(run_block, train=train, remat=self.remat)
        skips = []
        for level, block in enumerate(self.down):
            x = run(block, downsample(x) if level else x)
            skips.append(x)
        x = dropout(x, self.dropout, key) if train else x
        for up, block, skip in zip(self.ups, self.merge, skips[-2::-1], strict=True):
            x = run(block, self._merge_skip(self._upsample(up, x, skip), skip))
        height, width = images.shape[1:-1]
        return to_float32(self.classifier(x[:, :height, :width]), images)

    def _upsample(self, up: nnx.Module, x: jax.Array, skip: jax.Array) -> jax.Array:
        """Bring a level to the size of its skip, or with "valid" padding to twice its own size."""
        height, width = (2 * n for n in x.shape[1:-1]) if self.valid else skip.shape[1:-1]
        x = up(x)  # type: ignore[operator]
        return ops.resize(x, (height, width)) if self.up == "resize" else x[:, :height, :width]

    def _merge_skip(self, x: jax.Array, skip: jax.Array) -> jax.Array:
        """Concatenate or add the skip, cropped to the size of the upsampled features."""
        if self.skips == "none":
            return x
        skip = _center_crop(skip, x.shape[1:-1])
        return x + skip if self.skips == "sum" else jnp.concatenate([skip, x], axis=-1)


class UNetBlock(nnx.Module):
    """Twice 3x3 convolution, norm, ReLU; a residual block adds its input before the last ReLU.

    Args:
        inputs: Number of channels of the input.
        features: Number of channels of the output.
        valid: Do not pad the 3x3 convolutions.
        residual: Add the input, through a 1x1 convolution and norm where channels differ.
        norm: Function that makes the normalization of a given number of channels.
        rngs: Random number generators; the `params` stream draws the kernels.
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        *,
        valid: bool,
        residual: bool,
        norm: NormFactory,
        rngs: nnx.Rngs,
    ):
        unit = functools.partial(ConvNorm, norm=norm, rngs=rngs)
        padding = "valid" if valid else "same"
        last_activation = None if residual else jax.nn.relu
        self.first = unit(inputs, features, padding=padding)
        self.second = unit(features, features, padding=padding, activation=last_activation)
        self.residual = residual
        self.shortcut = (
            unit(inputs, features, 1, activation=None) if residual and inputs != features else None
        )

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map (batch, height, width, inputs) to (batch, height', width', features)."""
        y = self.second(self.first(x, train=train), train=train)
        if not self.residual:
            return y
        x = _center_crop(x, y.shape[1:-1])
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x, train=train)))


def _make_up(up: Up, inputs: int, features: int, rngs: nnx.Rngs) -> nnx.Module:
    if up == "upconv":
        return UpConv(inputs, features, 2, bias=True, rngs=rngs)
    # The 1x1 convolution commutes with the resizing. In front of it, it has a quarter of the work.
    return Conv(inputs, features, 1, bias=True, rngs=rngs)


def downsample(x: jax.Array) -> jax.Array:
    """Take the maximum of each 2x2 pixels, or of the fewer at the end of an odd axis."""
    return ops.max_pool(x, 2, padding="same")


def _center_crop(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Crop images to their central pixels, the same number on both sides of each axis."""
    top, left = ((n - target) // 2 for n, target in zip(x.shape[1:-1], size, strict=True))
    return x[:, top : top + size[0], left : left + size[1]]


def _mirror_margins(n: int, halvings: int) -> tuple[int, int]:
    """Pixels to mirror before and after n, so that "valid" convolutions leave n or a few more.

    A lowest level of b pixels comes from s b + 4 (s - 1) pixels, s = 2**halvings, and leads to
    s (b - 8) + 4.
    """
    s = 2**halvings
    lowest = -(-(n - 4) // s) + 8
    before = (4 * s + 8 * (s - 1)) // 2
    return before, s * lowest + 4 * (s - 1) - n - before
