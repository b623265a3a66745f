"""Continue images beyond their edges by mirroring."""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Shaped

from jaxseg.ops import symbolic
from jaxseg.ops.check import as_images
from jaxseg.ops.sparse_axis import Taps, taps


def mirror_pad(
    x: Shaped[Array, "batch *space channels"], padding: Sequence[tuple[int, int]]
) -> Shaped[Array, "batch *size channels"]:
    """Pad by mirroring at the edge pixels, which are not repeated: b c | a b c | b a.

    The image is mirrored back and forth as far out as asked for; up to one image size this is the
    "reflect" of NumPy and PyTorch. The single pixel of an axis of length 1 is repeated. This is how
    U-Net's "valid" convolutions see the surroundings of an image (Ronneberger et al. 2015, fig. 2,
    arXiv:1505.04597).

    Args:
        x: images, (batch, *space, channels), with 1, 2 or 3 spatial axes.
        padding: pixels (before, after) per spatial axis.

    Returns:
        (batch, *size, channels), where size = before + space + after.

    Raises:
        ValueError: a wrong rank, an empty axis, or anything but one pair of non-negative integers
            per axis.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x = jnp.array([1, 2, 3]).reshape(1, 3, 1)
        >>> ops.mirror_pad(x, [(2, 3)]).ravel().tolist()
        [3, 2, 1, 2, 3, 2, 1, 2]
    """
    x = as_images("mirror_pad", x)
    if len(padding) != x.ndim - 2 or any(
        len(p) != 2 or any(not symbolic.is_symbolic([n]) and n < 0 for n in p) for p in padding
    ):
        raise ValueError(
            f"mirror_pad: padding={padding!r} must be {x.ndim - 2} pairs (before, after) of "
            "integers >= 0."
        )
    for axis, (before, after) in enumerate(padding, start=1):
        if symbolic.is_symbolic((x.shape[axis], before, after)):
            x = symbolic.mirror(x, axis, before, after)
        elif before or after:
            x = taps(x, _mirror_table(x.shape[axis], int(before), int(after)), axis)
    return x


@functools.lru_cache(maxsize=1024)
def _mirror_table(size: int, before: int, after: int) -> Taps:
    """Make a table of one tap per pixel: there and back is 2 (size - 1) pixels."""
    position = np.arange(-before, size + after)
    phase = np.abs(position) % max(2 * (size - 1), 1)
    columns = np.minimum(phase, 2 * (size - 1) - phase)
    return Taps(len(position), size, np.arange(len(position)), columns, np.ones(len(position)))
