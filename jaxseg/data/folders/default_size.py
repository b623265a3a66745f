"""The size that a folder's images are prepared at by default, and how much of it is padding."""

from collections.abc import Sequence
from statistics import median

from jaxseg.data.geometry import placement

_LONGEST = 256
_MULTIPLE = 8


def default_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The size that images of these heights and widths are prepared at by default.

    It has the median aspect, the longer side is their median but at most 256, and both sides are
    multiples of 8: of those next to the exact aspect, the ones that need the least padding. An
    image of the median aspect is padded by less than 8 rows or columns.

    Args:
        sizes: Height and width of every image.

    Example:
        >>> default_size([(36, 48)]), default_size([(480, 640)])
        ((40, 48), (192, 256))
    """
    aspect = median(width / height for height, width in sizes)
    longest = _nearest_multiple(min(_LONGEST, median(max(size) for size in sizes)))
    ratio = min(aspect, 1 / aspect)  # of the shorter side to the longer one
    exact = longest * ratio
    below = int(exact // _MULTIPLE) * _MULTIPLE
    shares = {below + _MULTIPLE: 1 - exact / (below + _MULTIPLE)}  # the shorter side is padded
    if below and longest * (1 - below / exact) < _MULTIPLE:
        shares[below] = 1 - below / exact  # the longer side is padded
    shortest = min(shares, key=lambda side: shares[side])
    return (shortest, longest) if aspect >= 1 else (longest, shortest)


def padded_share(sizes: Sequence[tuple[int, int]], size: tuple[int, int]) -> float:
    """The share of all pixels that is padding where images keep their aspect.

    Args:
        sizes: Height and width of every image.
        size: Height and width that they are prepared at.

    Example:
        >>> padded_share([(36, 48)], (40, 48))
        0.1
    """
    inner = [placement(original, size, keep_aspect=True) for original in sizes]
    filled = sum(place.height * place.width for place in inner)
    return round(1 - filled / (len(inner) * size[0] * size[1]), 12)


def _nearest_multiple(length: float) -> int:
    return max(_MULTIPLE, _MULTIPLE * round(length / _MULTIPLE))


def default_crop(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The size of the crops out of images of these heights and widths by default.

    Args:
        sizes: Height and width of every image.

    Example:
        >>> default_crop([(480, 640)]), default_crop([(30, 50)])
        ((256, 256), (32, 48))
    """
    height, width = (
        _nearest_multiple(min(_LONGEST, median(side))) for side in zip(*sizes, strict=True)
    )
    return height, width
