"""U-Net, of any depth and at any image size."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import ops
from jaxseg.models.encoder import NORMS, Norm, one_of
from jaxseg.models.segmenter import classifier, wide
from jaxseg.nn import Conv, ConvNorm, UpConv, dropout, rematerialize


@dataclass(frozen=True)
class UNetConfig:
    """What a `UNet` is made of.

    Attributes:
        classes: channels of the logits.
        inputs: channels of the images.
        widths: channels of each level; one level more is one more halving of the image.
        up: how a level is brought to the size of the one above, with its channels: "upconv", a
            2x2 upconvolution, or "resize", a 1x1 convolution and bilinear resizing.
        padding: "same", or "valid": convolutions see no zeros but the image mirrored at its edges.
        skips: what the way up does with the features of the way down: "concat", "sum" or "none".
        residual: put a shortcut around the two convolutions of each block.
        norm: "batch" or "group".
        dropout: of the lowest level's features, in training with a key.
        dtype: what is computed in, parameters and statistics staying float32; None: the images'.
        remat: keep only the input of each block for the backward pass.
    """

    classes: int
    inputs: int = 3
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    up: Literal["upconv", "resize"] = "upconv"
    padding: Literal["same", "valid"] = "same"
    skips: Literal["concat", "sum", "none"] = "concat"
    residual: bool = False
    norm: Norm = "batch"
    dropout: float = 0.0
    dtype: Literal["float32", "bfloat16"] | None = None
    remat: bool = False

    def __post_init__(self):
        """Refuse names and numbers that make no net."""
        one_of("UNet", "up", self.up, ("upconv", "resize"))
        one_of("UNet", "padding", self.padding, ("same", "valid"))
        one_of("UNet", "skips", self.skips, ("concat", "sum", "none"))
        one_of("UNet", "norm", self.norm, NORMS)
        one_of("UNet", "dtype", self.dtype, (None, "float32", "bfloat16"))
        if min(self.classes, self.inputs, *self.widths, len(self.widths)) < 1:
            raise ValueError(
                f"UNet: classes={self.classes}, inputs={self.inputs} and widths={self.widths!r} "
                "must be at least 1."
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"UNet: dropout={self.dropout} must be at least 0 and below 1.")


class UNet(nnx.Module):
    """Ronneberger et al. 2015 (arXiv:1505.04597), with a norm behind each convolution.

    Odd sizes are halved upwards; what an upconvolution makes beyond a skip is cut off. With
    "valid" padding the logits are those of the image's own pixels nevertheless: as much is mirrored
    at its edges as the convolutions take away (184 pixels in all with five levels; section 2 and
    fig. 2). Long skips: Drozdzal et al. 2016 (arXiv:1608.04117).

    Args:
        rngs: draws the kernels.
        fields: the fields of `UNetConfig`.

    Raises:
        ValueError: as `UNetConfig`.
    """

    def __init__(self, *, rngs: nnx.Rngs, **fields: Any):
        config = UNetConfig(**fields)
        widths = config.widths
        pairs = zip((config.inputs, *widths), widths, strict=False)
        self.down = nnx.List([UNetBlock(i, o, config, rngs) for i, o in pairs])
        turns = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.ups = nnx.List([_up(i, o, config, rngs) for i, o in turns])
        times = 2 if config.skips == "concat" else 1
        self.merge = nnx.List([UNetBlock(times * o, o, config, rngs) for _, o in turns])
        self.classifier = classifier(widths[0], config.classes, rngs)
        self.config = config

    def __call__(
        self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Score every class at every pixel.

        Args:
            images: (batch, height, width, inputs), floating, of any height and width.
            train: normalise by the batch's statistics, and update the running ones in place.
            key: JAX PRNG key for dropout in training; without one nothing is dropped.

        Returns:
            logits, (batch, height, width, classes), float32 (float64 for such images).
        """
        x = images if self.config.dtype is None else images.astype(self.config.dtype)
        if self.config.padding == "valid":
            x = ops.mirror_pad(x, [_margins(n, len(self.ups)) for n in x.shape[1:-1]])
        skips = []
        for level, block in enumerate(self.down):
            x = self._run(block, _halved(x) if level else x, train)
            skips.append(x)
        x = dropout(x, self.config.dropout, key) if train else x
        for up, block, skip in zip(self.ups, self.merge, skips[-2::-1], strict=True):
            x = self._run(block, self._joined(self._raised(up, x, skip), skip), train)
        height, width = images.shape[1:-1]
        return wide(self.classifier(x[:, :height, :width]), images)

    def _run(self, block: nnx.Module, x: jax.Array, train: bool) -> jax.Array:
        if self.config.remat:
            return rematerialize(block, x, train=train)
        return block(x, train=train)  # type: ignore[operator]

    def _raised(self, up: nnx.Module, x: jax.Array, skip: jax.Array) -> jax.Array:
        """A level's features at the size of the one above: the skip's, or just twice their own."""
        size = tuple(2 * n for n in x.shape[1:-1])
        if self.config.padding == "same":
            size = skip.shape[1:-1]
        x = up(x)  # type: ignore[operator]
        return ops.resize(x, size) if self.config.up == "resize" else x[:, : size[0], : size[1]]

    def _joined(self, x: jax.Array, skip: jax.Array) -> jax.Array:
        """What came up with the skip, of which the middle is taken where it is larger."""
        if self.config.skips == "none":
            return x
        skip = _middle(skip, x.shape[1:-1])
        return x + skip if self.config.skips == "sum" else jnp.concatenate([skip, x], axis=-1)


class UNetBlock(nnx.Module):
    """Twice 3x3 convolution, norm, ReLU; the last ReLU behind the sum with x if residual.

    Args:
        inputs: channels of the input.
        features: channels of the output.
        config: whose `padding`, `residual` and `norm` count here.
        rngs: draws the kernels.
    """

    def __init__(self, inputs: int, features: int, config: UNetConfig, rngs: nnx.Rngs):
        options: Any = {"padding": config.padding, "norm": NORMS[config.norm], "rngs": rngs}
        self.first = ConvNorm(inputs, features, **options)
        last = None if config.residual else jax.nn.relu
        self.second = ConvNorm(features, features, activation=last, **options)
        self.residual = config.residual
        self.shortcut = (
            ConvNorm(inputs, features, 1, activation=None, norm=NORMS[config.norm], rngs=rngs)
            if config.residual and inputs != features
            else None
        )

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, height, width, inputs) -> (batch, height', width', features)."""
        y = self.second(self.first(x, train=train), train=train)
        if not self.residual:
            return y
        x = _middle(x, y.shape[1:-1])
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x, train=train)))


def _up(inputs: int, features: int, config: UNetConfig, rngs: nnx.Rngs) -> nnx.Module:
    if config.up == "upconv":
        return UpConv(inputs, features, 2, bias=True, rngs=rngs)
    # In front of the resizing, with which it commutes, it has a quarter of the pixels.
    return Conv(inputs, features, 1, bias=True, rngs=rngs)


def _halved(x: jax.Array) -> jax.Array:
    """The largest of each 2x2 pixels, or of the fewer at the end of an odd axis."""
    return ops.max_pool(x, 2, padding="same")


def _middle(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """The central part of images that are larger than `size` by the same on both sides."""
    top, left = ((n - wanted) // 2 for n, wanted in zip(x.shape[1:-1], size, strict=True))
    return x[:, top : top + size[0], left : left + size[1]]


def _margins(n: int, halvings: int) -> tuple[int, int]:
    """Pixels to mirror before and after n, so that "valid" convolutions leave n or a few more.

    A lowest level of b pixels comes from s b + 4 (s - 1), s = 2**halvings, and leads to
    s (b - 8) + 4.
    """
    s = 2**halvings
    lowest = -(-(n - 4) // s) + 8
    before = (4 * s + 8 * (s - 1)) // 2
    return before, s * lowest + 4 * (s - 1) - n - before
