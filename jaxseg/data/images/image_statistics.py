"""Common properties of the images of a data set, and the mean and deviation of their channels."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from jaxseg.data.images.image_files import (
    FilePair,
    ImageFormat,
    image_format,
    marks_alpha,
    pages_as_bands,
    read_orientation,
)
from jaxseg.data.images.normalization import FULL_BRIGHTNESS
from jaxseg.data.images.orientation import NAMES, MaskOrientation

_CONSTANT = 1e-8  # a smaller share of the mean is rounding, since float32 holds 7 digits


class ChannelStatistics:
    """Mean and standard deviation of every channel, over images that are added one by one.

    Args:
        channels: Number of channels.
        dtype: Type of the images: "uint8", "uint16" or "float32".
    """

    def __init__(self, channels: int, dtype: str):
        self._dtype = dtype
        self._sums = np.zeros((3, channels))  # number, sum and sum of squares
        self._shift = np.zeros(channels)

    def add(self, image: np.ndarray) -> None:
        """Adds an image.

        Args:
            image: (height, width, channels), as it is stored.
        """
        values = image / np.float64(FULL_BRIGHTNESS[self._dtype])
        if self._dtype != "uint8" and not self._sums.any():
            # Near the mean, so that the squares of large numbers do not cancel.
            self._shift = values.mean((0, 1))
        values = values - self._shift
        count = np.full(values.shape[-1], values[..., 0].size)
        self._sums += [count, values.sum((0, 1)), (values**2).sum((0, 1))]

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of every channel, in units of full brightness."""
        return tuple((self._sums[1] / self._sums[0] + self._shift).tolist())

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of every channel, likewise.

        It is at least one step of the numbers that are stored; a constant channel of floats has 1.
        """
        count, total, squares = self._sums
        variance = squares / count - (total / count) ** 2
        if self._dtype != "float32":
            least = 1 / FULL_BRIGHTNESS[self._dtype]
            return tuple(np.sqrt(np.maximum(variance, least**2)).tolist())
        std = np.sqrt(np.maximum(variance, 0))
        constant = std <= _CONSTANT * np.abs(self.mean)
        return tuple(np.where(constant, 1.0, std).tolist())


def read_formats(pairs: Mapping[str, Sequence[FilePair]]) -> dict[FilePair, ImageFormat]:
    """Reads the heads of all images.

    Args:
        pairs: The pairs of every split.

    Raises:
        ValueError: A file cannot be read exactly.
    """
    return {pair: image_format(pair.image) for listed in pairs.values() for pair in listed}


def common_format(formats: Mapping[FilePair, ImageFormat]) -> tuple[int, str]:
    """Finds the channels and the type that all images of a data set have.

    Gray images among red, green and blue ones of the same type are no exception: they are repeated
    to three channels.

    Args:
        formats: What the head of every image says.

    Returns:
        The number of channels and the name of the type.

    Raises:
        ValueError: An image differs from most others.
    """
    kinds = Counter((shown.channels, shown.dtype) for shown in formats.values())
    for (channels, dtype), count in list(kinds.items()):
        if channels == 1 and (3, dtype) in kinds:
            kinds[3, dtype] += count
            del kinds[channels, dtype]
    (expected, count), *_ = kinds.most_common(1)
    fitting = (expected, (1, expected[1])) if expected[0] == 3 else (expected,)
    for pair, shown in formats.items():
        if (shown.channels, shown.dtype) not in fitting:
            other = next(p for p, f in formats.items() if (f.channels, f.dtype) in fitting)
            raise ValueError(
                f"{str(pair.image)!r} has {shown.channels} channels of {shown.dtype}, expected "
                f"{expected[0]} of {expected[1]} as in {count} of the {len(formats)} images, such "
                f"as {str(other.image)!r}: convert it, or take the pair out"
            )
    return expected


def remarks(
    formats: Mapping[FilePair, ImageFormat], channels: int, mask_orientation: MaskOrientation
) -> tuple[str, ...]:
    """Writes what is to be said of the images: what was converted, turned or taken for a channel.

    Args:
        formats: What the head of every image says.
        channels: The channels that all images get.
        mask_orientation: What the masks without an orientation tag were drawn on.
    """
    said = []
    gray = [pair for pair, shown in formats.items() if channels == 3 and shown.channels == 1]
    if gray:
        said.append(f"{_count(gray)} gray, and repeated to red, green and blue as in the others")
    alpha = [pair for pair in formats if channels in (2, 4) and marks_alpha(pair.image)]
    if alpha:
        said.append(
            f"{_count(alpha)} marked as having alpha in the last band, which is a channel like the "
            "others: save them as .png if it is transparency"
        )
    stacks = [pair for pair in formats if channels > 1 and pages_as_bands(pair.image)]
    if stacks:
        said.append(
            f"{_count(stacks)} of {channels} pages, which are taken for the bands of one image: "
            "save them as files of their own if they are slices or time points"
        )
    tags = {
        pair: (shown.orientation, read_orientation(pair.mask)) for pair, shown in formats.items()
    }
    turned = [pair for pair, tag in tags.items() if tag != (1, 1)]
    if turned:
        tag = max(tags[turned[0]])
        alone = any(tags[pair][1] == 1 for pair in turned)
        masks = {
            "unknown": "masks without a tag are upright already, as their sizes tell",
            "upright": "masks without a tag are taken as upright already",
            "stored": "masks without a tag are turned as their images are",
        }[mask_orientation]
        said.append(
            f"{_count(turned)} tagged with an orientation ({tag}: {NAMES[tag]}) and turned "
            f"upright, as tagged masks are{f'; {masks}' if alone else ''}"
        )
    return tuple(said)


def _count(pairs: list[FilePair]) -> str:
    first = repr(pairs[0].image.name)
    return f"{first} is" if len(pairs) == 1 else f"{len(pairs)} images (the first is {first}) are"
