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
from jaxseg.ops.check import as_images, to_float32
from jaxseg.ops.options import Sizes
from jaxseg.ops.sparse_axis import Taps, taps

Method = Literal["bilinear", "nearest-exact", "nearest"]


def resize(
    x: Shaped[Array, "batch *space channels"],
    size: Sizes,
    *,
    method: Method = "bilinear",
    align_corners: bool = False,
) -> Shaped[Array, "batch *size channels"]:
    r"""Resize channels-last images, up or down, without antialiasing; PyTorch's `interpolate`.

    Output pixel o of an axis looks at the input position

    .. math:: p = \max((o + 1/2) \, i / n - 1/2, 0) \quad \text{or} \quad p = o (i - 1) / (n - 1)

    for i input and n output pixels, the latter with `align_corners` (0 where n = 1).

    * "bilinear" (linear for one axis, trilinear for three) weights the two pixels around p by
      their distance, in float64 tables that are rounded to float32 or, for float64 images, kept.
    * "nearest-exact" takes the pixel nearest to p, floor((o + 1/2) i / n), and so agrees with
      "bilinear" on where a pixel lies: **use it for labels**. Of two equally near pixels it takes
      the one behind. PyTorch's mode of that name is the same, except that of two equally near
      pixels rounding may choose either.
    * "nearest" is PyTorch's older mode, which lies half a pixel off: it takes the pixel
      min(floor(o (i / n)), i - 1), with both operations rounded to float32 as PyTorch does. At a
      few sizes, such as 2 -> 82, that is one pixel off the exact floor.

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes; floating for
            "bilinear", of any dtype otherwise (label maps: `resize(labels[..., None], ...)`).
        size: size of the output, in pixels; one integer or one per axis.
        method: "bilinear", "nearest-exact" or "nearest".
        align_corners: keep the centers of the corner pixels where they are ("bilinear" only).

    Returns:
        (batch, *size, channels), of the dtype of `x`; 16-bit images are summed in float32.

    Raises:
        ValueError: a wrong rank, dtype or size, an unknown method, or `align_corners` with a
            method other than "bilinear".

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> ops.resize(jnp.array([0.0, 4.0]).reshape(1, 2, 1), 4).ravel().tolist()
        [0.0, 1.0, 3.0, 4.0]
        >>> labels = jnp.array([3, 255, 7, 7, 0]).reshape(1, 5, 1)
        >>> ops.resize(labels, 2, method="nearest-exact").ravel().tolist()
        [255, 7]
    """
    x = as_images("resize", x)
    inputs = x.shape[1:-1]
    outputs = symbolic.sizes_per_axis("size", size, len(inputs))
    _check_method(x, method, align_corners)
    if method == "bilinear":
        y = to_float32(x)
    else:
        y = x if symbolic.is_symbolic((*inputs, *outputs)) else _repeat_pixels(x, outputs, method)
    for axis, (i, o) in enumerate(zip(y.shape[1:-1], outputs, strict=True), start=1):
        if symbolic.is_symbolic((i, o)):
            y = symbolic.resize_axis(y, axis, o, method=method, align_corners=bool(align_corners))
        elif i != o:
            y = taps(y, _table(i, o, method, bool(align_corners)), axis)
    return y.astype(x.dtype)


def _check_method(x: jax.Array, method: str, align_corners: bool) -> None:
    if method not in ("bilinear", "nearest-exact", "nearest"):
        raise ValueError(
            f'resize: method={method!r} is unknown: give "bilinear", "nearest-exact" or "nearest".'
        )
    if method != "bilinear" and align_corners:
        raise ValueError(
            f"resize: align_corners=True has no meaning for method={method!r}: leave it out."
        )
    if method == "bilinear" and not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f'resize: x is {x.dtype}, which method="bilinear" cannot mix: give '
            'method="nearest-exact" for labels, or convert images to a floating dtype first.'
        )


def _repeat_pixels(x: jax.Array, size: Sequence[int], method: Method) -> jax.Array:
    """Resize by repetition all axes at once for which the method means just that.

    (8, 128, 128, 64) to twice the size and back takes .44 of the time of a table per axis.
    """
    factors = [
        o // i if _is_repetition(i, o, method) else 1
        for i, o in zip(x.shape[1:-1], size, strict=True)
    ]
    if max(factors) == 1:
        return x
    batch, *space, channels = x.shape
    copied = [n for pair in zip(space, factors, strict=True) for n in pair]
    y = lax.expand_dims(x, range(2, 2 * x.ndim - 3, 2))
    y = jnp.broadcast_to(y, (batch, *copied, channels))
    for axis in range(1, x.ndim - 1):
        y = lax.collapse(y, axis, axis + 2)
    return y


def _is_repetition(i: int, o: int, method: Method) -> bool:
    """Tell whether each pixel is repeated; some multiples are not, rounded in float32."""
    return o % i == 0 and bool(
        (_table(i, o, method, False).index[:, 0] == np.arange(o) // (o // i)).all()
    )


@functools.lru_cache(maxsize=1024)
def _table(i: int, o: int, method: Method, align_corners: bool) -> Taps:
    """Make the table of one axis: i input and o output pixels."""
    pixel = np.arange(o)
    if method == "bilinear":
        return _linear_table(i, o, align_corners)
    if method == "nearest-exact":
        columns = np.minimum((2 * pixel + 1) * i // (2 * o), i - 1)
    else:  # in float32 throughout, or some sizes would differ from PyTorch by a pixel
        position = pixel.astype(np.float32) * (np.float32(i) / np.float32(o))
        columns = np.minimum(np.floor(position).astype(int), i - 1)
    return Taps(o, i, pixel, columns, np.ones(o))


def _linear_table(i: int, o: int, align_corners: bool) -> Taps:
    """Make a table of two taps, around the position that each output pixel looks at."""
    pixel = np.arange(o)
    if align_corners:
        position = pixel * ((i - 1) / (o - 1) if o > 1 else 0.0)
    else:
        position = np.maximum((pixel + 0.5) * (i / o) - 0.5, 0)
    low = np.minimum(np.floor(position).astype(int), i - 1)
    weight = np.where(low < i - 1, position - low, 0)  # the last pixel has none behind it
    rows = np.concatenate([pixel, pixel])
    columns = np.concatenate([low, np.minimum(low + 1, i - 1)])
    return Taps(o, i, rows, columns, np.concatenate([1 - weight, weight]))
