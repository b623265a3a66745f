"""Class probabilities of whole images: at several scales, mirrored, and window by window.

`probabilities` is for batches on the device. `segment` is for one image on the host, of any size:
its memory is bounded whatever the image.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float32

from jaxseg.training._views import (
    InferenceConfig,
    Logits,
    entropy,
    mean_over_views,
    probabilities,
    window_starts,
)

__all__ = [
    "InferenceConfig",
    "Logits",
    "Strip",
    "entropy",
    "probabilities",
    "probability_strips",
    "segment",
    "window_starts",
]

_SUMS_BYTES = 1 << 29
"""Bytes of sums that are alive at once, but for at least two windows."""
_STRIP_BYTES = 1 << 26
"""Bytes of a strip, but for at least a row."""


class Strip(NamedTuple):
    """Probabilities of a part of an image.

    Attributes:
        rows: Rows of the image that the strip covers.
        columns: Columns that it covers.
        probabilities: (rows, columns, classes); the classes of a pixel sum to 1. The array is
            overwritten when the next strip is computed: copy what is to stay.
    """

    rows: slice
    columns: slice
    probabilities: Float32[np.ndarray, "rows columns classes"]

    def labels(self) -> np.ndarray:
        """The most probable class of each pixel, the first of equal ones: (rows, columns)."""
        # Class by class, which is far faster than NumPy's argmax along a short axis.
        planes = np.moveaxis(self.probabilities, -1, 0)
        kind = np.uint8 if len(planes) <= 256 else np.int32
        best, labels = planes[0].copy(), np.zeros(planes[0].shape, kind)
        for number, plane in enumerate(planes[1:], start=1):
            labels[plane > best] = number
            np.maximum(best, plane, out=best)
        return labels

    def entropy(self) -> Float32[np.ndarray, "rows columns"]:
        """Uncertainty of each pixel: -sum p ln p / ln classes, from 0 (certain) to 1 (uniform)."""
        shares, total = self.probabilities, np.zeros(self.probabilities.shape[:2], np.float32)
        for share in np.moveaxis(shares, -1, 0):  # a class at a time, for the memory's sake
            total -= share * np.log(share, where=share > 0, out=np.zeros_like(share))
        return total / np.float32(math.log(max(2, shares.shape[-1])))


def probability_strips(
    logits: Logits,
    image: np.ndarray,
    config: InferenceConfig,
    *,
    classes: int,
    normalize: Callable[[jax.Array], jax.Array] | None = None,
) -> Iterator[Strip]:
    """Computes the probabilities of one image of any size, strip by strip.

    The result is that of `probabilities`, without its memory: of the probabilities, only those are
    alive that later windows add to, at most 512 MiB, or two windows if these are larger. A wider
    image is cut into bands of columns, and windows across a border are computed for both bands.

    Nothing is padded: windows lie evenly spaced inside the image. An image that is smaller than a
    window along an axis is seen whole along that axis. So all images that are larger than a window
    share one compiled program, and every other size has its own.

    Args:
        logits: The net, for images of any size. It is compiled here; pass the same function for
            each image, so that it is compiled once.
        image: (height, width, channels) on the host, of any dtype that `normalize` takes; may be a
            `numpy.memmap`.
        config: The views, and the windows.
        classes: Number of classes.
        normalize: Makes of windows of the image, on the device, what `logits` takes; None if
            `logits` takes them as they are.

    Yields:
        Strips that cover every pixel once: top to bottom, band by band from the left.

    Raises:
        ValueError: The image is empty or has another rank, or the net has other classes.

    Example:
        >>> net = lambda images: jax.numpy.concatenate([images, -images], axis=-1)
        >>> config = InferenceConfig(window=(4, 4), overlap=0.0)
        >>> strips = probability_strips(net, np.zeros((8, 4, 1), np.float32), config, classes=2)
        >>> [(strip.rows, strip.probabilities.shape) for strip in strips]
        [(slice(0, 4, None), (4, 4, 2)), (slice(4, 8, None), (4, 4, 2))]
    """
    _check_image(image)
    net = jax.jit(logits)  # JAX keeps one program for each function and shape

    def predict(window: np.ndarray) -> jax.Array:
        placed = jax.numpy.asarray(window[None])
        return mean_over_views(net, placed if normalize is None else normalize(placed), config)

    height, width = image.shape[:2]
    window = config.window_of((height, width), classes)
    tops, lefts = (
        window_starts(n, w, config.overlap) for n, w in zip((height, width), window, strict=True)
    )
    for columns in _bands(width, window, classes):
        inside = [n for n in lefts if n < columns.stop and n + window[1] > columns.start]
        sums = _Sums(window, columns, classes, tops, lefts)
        for top, following in zip(tops, [*tops[1:], height], strict=True):
            for left, scores in _row_of_windows(predict, image, window, top, inside):
                sums.add(top, left, scores)
            yield from sums.finished(top, following)


def segment(
    logits: Logits,
    image: np.ndarray,
    config: InferenceConfig,
    *,
    classes: int,
    normalize: Callable[[jax.Array], jax.Array] | None = None,
    on_strip: Callable[[Strip], None] | None = None,
) -> np.ndarray:
    """Labels one image of any size, in bounded memory.

    Besides the image and its labels it needs at most about 1 GiB and what the net needs for one
    window; `probability_strips` says how.

    Args:
        logits: The net, for images of any size. It is compiled here; pass the same function for
            each image, so that it is compiled once.
        image: (height, width, channels) on the host, of any dtype that `normalize` takes; may be a
            `numpy.memmap`.
        config: The views, and the windows.
        classes: Number of classes.
        normalize: Makes of windows of the image, on the device, what `logits` takes; None if
            `logits` takes them as they are.
        on_strip: Called with each `Strip` of probabilities, in order: to write them or their
            entropy, or to show progress.

    Returns:
        (height, width), the most probable class of each pixel, the first of equal ones; uint8, or
        int32 where there are more than 256 classes.

    Raises:
        ValueError: The image is empty or has another rank, or the net has other classes.

    Example:
        >>> net = lambda images: jax.numpy.concatenate([images, 1 - images], axis=-1)
        >>> image = np.array([[0.0, 0.2, 0.7], [1.0, 0.4, 0.1]], np.float32)[..., None]
        >>> segment(net, image, InferenceConfig(), classes=2).tolist()
        [[1, 1, 0], [0, 1, 1]]
    """
    _check_image(image)
    labels = np.empty(image.shape[:2], np.uint8 if classes <= 256 else np.int32)
    for strip in probability_strips(logits, image, config, classes=classes, normalize=normalize):
        labels[strip.rows, strip.columns] = strip.labels()
        if on_strip is not None:
            on_strip(strip)
    return labels


class _Sums:
    """Sums of probabilities over windows, for the rows that one row of windows covers.

    The rows are a ring: row r of the image is row r % height of the array.
    """

    def __init__(
        self,
        window: tuple[int, int],
        columns: slice,
        classes: int,
        tops: Sequence[int],
        lefts: Sequence[int],
    ):
        self.window, self.columns = window, columns
        self.sums = np.zeros((window[0], columns.stop - columns.start, classes), np.float32)
        self.row_counts = _counts(tops, window[0])
        self.column_counts = _counts(lefts, window[1])[columns]

    def add(self, top: int, left: int, scores: jax.Array) -> None:
        """Adds what a window gives, as far as it lies in the columns."""
        height, width = self.window
        if scores.shape != (1, height, width, self.sums.shape[-1]):
            raise ValueError(
                f"the net gives {scores.shape} for a window of {height}x{width}, expected "
                f"{(1, height, width, self.sums.shape[-1])}: pass the number of its classes, and a "
                "net whose logits have the size of its images."
            )
        start, stop = max(left, self.columns.start), min(left + width, self.columns.stop)
        values = np.asarray(scores)[0, :, start - left : stop - left]
        inside = slice(start - self.columns.start, stop - self.columns.start)
        turn = top % height
        self.sums[turn:, inside] += values[: height - turn]
        self.sums[:turn, inside] += values[height - turn :]

    def finished(self, start: int, stop: int) -> Iterator[Strip]:
        """Yields the means of rows that no later window covers, and makes their room free."""
        height, width, classes = self.sums.shape
        most = max(1, _STRIP_BYTES // (4 * width * classes))
        while start < stop:
            turn = start % height
            count = min(stop - start, most, height - turn)
            part = self.sums[turn : turn + count]
            counts = self.row_counts[start : start + count, None] * self.column_counts
            part /= counts[..., None].astype(np.float32)
            yield Strip(slice(start, start + count), self.columns, part)
            part[:] = 0
            start += count


def _row_of_windows(
    predict: Callable[[np.ndarray], jax.Array],
    image: np.ndarray,
    window: tuple[int, int],
    top: int,
    lefts: Sequence[int],
) -> Iterator[tuple[int, jax.Array]]:
    """The windows of a row, each while the one behind it is computed already."""
    waiting = None
    for left in lefts:
        scores = predict(image[top : top + window[0], left : left + window[1]])
        if waiting is not None:
            yield waiting
        waiting = left, scores
    if waiting is not None:
        yield waiting


def _bands(width: int, window: tuple[int, int], classes: int) -> list[slice]:
    """Columns whose sums fit into `_SUMS_BYTES`, as few and as equal as can be."""
    most = max(2 * window[1], _SUMS_BYTES // (4 * window[0] * classes))
    count = math.ceil(width / most)
    edges = [i * width // count for i in range(count + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _counts(starts: Sequence[int], window: int) -> np.ndarray:
    """The number of windows that cover each pixel of an axis."""
    counts = np.zeros(starts[-1] + window, np.int64)
    for start in starts:
        counts[start : start + window] += 1
    return counts


def _check_image(image: np.ndarray) -> None:
    if image.ndim != 3 or 0 in image.shape:
        raise ValueError(
            f"image has shape {image.shape}, expected (height, width, channels) of at least 1 "
            "each: pass one image, as an array."
        )
