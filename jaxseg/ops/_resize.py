"""Resizing of images and label maps, one axis at a time."""

import functools
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Shaped

from jaxseg.ops import symbolic
from jaxseg.ops.check import images, widened
from jaxseg.ops.geometry import Sizes
from jaxseg.ops.sparse_axis import Taps, taps


def resize(
    x: Shaped[Array, "batch *space channels"],
    size: Sizes,
    *,
    method: Literal["bilinear", "nearest"] = "bilinear",
    align_corners: bool = False,
) -> Shaped[Array, "batch *size channels"]:
    r"""Resize channels-last images, up or down, without antialiasing; PyTorch's `interpolate`.

    Output pixel o of an axis looks at the input position

    .. math:: p = \max((o + 1/2) \, i / n - 1/2, 0) \quad \text{or} \quad p = o (i - 1) / (n - 1)

    for i input and n output pixels, the latter with `align_corners` (0 where n = 1). "bilinear"
    (linear for one axis, trilinear for three) weighs the two pixels around p by their distance, in
    float64 tables rounded to float32 or, for float64 images, kept. "nearest" takes the pixel
    min(floor(o * (i / n)), i - 1), with both operations rounded to float32 as PyTorch does: at a
    few sizes, such as 2 -> 82, that is one pixel off the exact floor.

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes; floating for
            "bilinear", of any dtype for "nearest" (label maps: `resize(y[..., None], ...)`).
        size: of the output, in pixels; one integer or one per axis.
        method: "bilinear" or "nearest".
        align_corners: the centres of the corner pixels stay where they are ("bilinear" only).

    Returns:
        (batch, *size, channels), of the dtype of `x`; 16-bit images are summed in float32.

    Raises:
        ValueError: a rank, dtype, size or method that is not as above.
    """
    x = images("resize", x)
    inputs = x.shape[1:-1]
    outputs = symbolic.sizes("size", size, len(inputs))
    if method not in ("bilinear", "nearest"):
        raise ValueError(f'resize: method={method!r} is unknown: give "bilinear" or "nearest".')
    if method == "nearest" and align_corners:
        raise ValueError(
            'resize: align_corners=True has no meaning for method="nearest": leave it out.'
        )
    if method == "bilinear" and not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f'resize: x is {x.dtype}, which method="bilinear" cannot mix: give method="nearest" '
            "for labels, or convert images to a floating dtype first."
        )
    known = not symbolic.symbolic((*inputs, *outputs))
    y = widened(x) if method == "bilinear" else _repeated(x, outputs) if known else x
    for axis, (i, o) in enumerate(zip(y.shape[1:-1], outputs, strict=True), start=1):
        if symbolic.symbolic((i, o)):
            y = _to_unknown(y, axis, o, method, bool(align_corners))
        elif i != o:
            table = _nearest(i, o) if method == "nearest" else _linear(i, o, bool(align_corners))
            y = taps(y, table, axis)
    return y.astype(x.dtype)


def _to_unknown(x, axis: int, size, method: str, align_corners: bool) -> jax.Array:
    if method == "nearest":
        return symbolic.nearest(x, axis, size)
    return symbolic.linear(x, axis, size, align_corners=align_corners)


def _repeated(x: jax.Array, size: Sequence[int]) -> jax.Array:
    """Nearest pixels along those axes where that means to repeat each, all of them at once.

    (8, 128, 128, 64) to twice the size and back in .44 of the time of a table of taps an axis.
    """
    factors = [o // i if _repeats(i, o) else 1 for i, o in zip(x.shape[1:-1], size, strict=True)]
    if max(factors) == 1:
        return x
    batch, *space, channels = x.shape
    copied = [n for pair in zip(space, factors, strict=True) for n in pair]
    y = lax.expand_dims(x, range(2, 2 * x.ndim - 3, 2))
    y = jnp.broadcast_to(y, (batch, *copied, channels))
    for axis in range(1, x.ndim - 1):
        y = lax.collapse(y, axis, axis + 2)
    return y


def _repeats(i: int, o: int) -> bool:
    """Rounded in float32, some multiples are no repetition."""
    return o % i == 0 and bool((_nearest(i, o).index[:, 0] == np.arange(o) // (o // i)).all())


@functools.lru_cache(maxsize=1024)
def _linear(i: int, o: int, align_corners: bool) -> Taps:
    """Two taps around the position that each output pixel looks at."""
    pixel = np.arange(o)
    if align_corners:
        position = pixel * ((i - 1) / (o - 1) if o > 1 else 0.0)
    else:
        position = np.maximum((pixel + 0.5) * (i / o) - 0.5, 0)
    low = np.minimum(np.floor(position).astype(int), i - 1)
    part = np.where(low < i - 1, position - low, 0)  # the last pixel has none behind it
    rows = np.concatenate([pixel, pixel])
    columns = np.concatenate([low, np.minimum(low + 1, i - 1)])
    return Taps(o, i, rows, columns, np.concatenate([1 - part, part]))


@functools.lru_cache(maxsize=1024)
def _nearest(i: int, o: int) -> Taps:
    """One tap each; in float32 throughout, or some sizes would differ from PyTorch by a pixel."""
    position = np.arange(o, dtype=np.float32) * (np.float32(i) / np.float32(o))
    columns = np.minimum(np.floor(position).astype(int), i - 1)
    return Taps(o, i, np.arange(o), columns, np.ones(o))
