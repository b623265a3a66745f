"""Continue images beyond their edges by mirroring."""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Shaped

from jaxseg.ops import symbolic
from jaxseg.ops.check import images
from jaxseg.ops.sparse_axis import Taps, taps


def mirror_pad(
    x: Shaped[Array, "batch *space channels"], padding: Sequence[tuple[int, int]]
) -> Shaped[Array, "batch *size channels"]:
    """Pad by mirroring at the edge pixels, which are not repeated: b c | a b c | b a.

    As far out as is asked for, back and forth, where NumPy's and PyTorch's "reflect" agree and
    beyond; the one pixel of an axis of length 1 is repeated. U-Net's "valid" convolutions see the
    images' surroundings so (Ronneberger et al. 2015, fig. 2, arXiv:1505.04597).

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes.
        padding: pixels (before, after) of each spatial axis.

    Returns:
        (batch, *size, channels), with size = before + space + after.

    Raises:
        ValueError: wrong rank, an empty axis, or not one pair of non-negative integers an axis.
    """
    x = images("mirror_pad", x)
    if len(padding) != x.ndim - 2 or any(
        len(p) != 2 or any(not symbolic.symbolic([n]) and n < 0 for n in p) for p in padding
    ):
        raise ValueError(
            f"mirror_pad: padding={padding!r} must be {x.ndim - 2} pairs (before, after) of "
            "integers >= 0."
        )
    for axis, (before, after) in enumerate(padding, start=1):
        if symbolic.symbolic((x.shape[axis], before, after)):
            x = symbolic.mirrored(x, axis, before, after)
        elif before or after:
            x = taps(x, _mirrored(x.shape[axis], int(before), int(after)), axis)
    return x


@functools.lru_cache(maxsize=1024)
def _mirrored(size: int, before: int, after: int) -> Taps:
    """One tap each: there and back is 2 (size - 1) pixels."""
    position = np.arange(-before, size + after)
    around = np.abs(position) % max(2 * (size - 1), 1)
    columns = np.minimum(around, 2 * (size - 1) - around)
    return Taps(len(position), size, np.arange(len(position)), columns, np.ones(len(position)))
