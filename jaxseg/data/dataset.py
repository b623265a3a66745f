"""A prepared data set: its splits as sources, and the user's files that it was made from."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxseg.data.crops import NativeSource
from jaxseg.data.info import DatasetInfo
from jaxseg.data.originals import Original, PreparedOriginals
from jaxseg.data.preparation.tiles import TiledPairs
from jaxseg.data.sources import Pair, Records, Source


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A prepared data set: what its numbers mean, and where its files are.

    Attributes:
        info: What the numbers of the images and labels mean.
        directory: The folder of the prepared files.
        splits: Number of examples of every split, by name.
        read_originals: Opens the user's files of the split of a name; None where there are none.
        sizes: Height and width of every example of every split, where the examples are stored at
            sizes of their own, as tiles; otherwise empty, and all have `info.size`.
        root: The folder of the files that it was prepared from; None for one that is drawn.
        pairs: The image and the mask file of every example, by split and in the order of the
            examples; empty for a data set that is drawn.
    """

    info: DatasetInfo
    directory: Path
    splits: Mapping[str, int] = dataclasses.field(hash=False)
    read_originals: Callable[[str], Sequence[Original]] | None = dataclasses.field(
        default=None, compare=False, repr=False
    )
    sizes: Mapping[str, Sequence[tuple[int, int]]] = dataclasses.field(
        default_factory=dict, hash=False, repr=False
    )
    root: Path | None = None
    pairs: Mapping[str, Sequence[tuple[Path, Path]]] = dataclasses.field(
        default_factory=dict, hash=False, repr=False
    )

    def source(self, split: str, *, cache: bool = False) -> "Source":
        """Opens a split for reading.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
            cache: Decode all examples now and keep them in memory as they are stored: with 8 bits
                about (channels + 1) × height × width bytes an example.

        Returns:
            The examples; those of a data set with `sizes` as a `NativeSource`.

        Raises:
            ValueError: There is no such split.
        """
        self._check_split(split)
        from jaxseg.data.preparation.builder import open_split  # here, since TFDS is slow to import

        pairs: Sequence[Pair] = Records(open_split(self.directory, split), self.info.classes)
        pairs = list(pairs) if cache else pairs
        if not self.sizes:
            return Source(pairs)
        return NativeSource(TiledPairs(pairs, self.sizes[split]), self.info.mean)

    def decoded_bytes(self, split: str) -> int:
        """The memory that the decoded examples of a split take.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
        """
        each = self.sizes.get(split) or [self.info.size] * self.splits[split]
        pixel = self.info.channels * np.dtype(self.info.dtype).itemsize + 1
        return sum(height * width for height, width in each) * pixel

    def originals(self, split: str) -> Sequence[Original]:
        """Opens the examples of a split as they are in the user's files, at their own sizes.

        A data set without files, such as the mosaic, gives its prepared examples.

        Args:
            split: `"train"`, `"validation"` or `"test"`.

        Returns:
            A sequence that reads an example when it is asked for it, and then raises a `ValueError`
            where a file cannot be read.

        Raises:
            ValueError: There is no such split.
        """
        self._check_split(split)
        if self.read_originals is None:
            return PreparedOriginals(self.source(split))
        return self.read_originals(split)

    def _check_split(self, split: str) -> None:
        if split not in self.splits:
            raise ValueError(
                f"split={split!r} is not in {self.info.name}, expected one of "
                f"{list(self.splits)}: pass one of these names"
            )
