"""Examples as they are in the user's files, read when they are asked for."""

from collections.abc import Mapping, Sequence
from typing import overload

from jaxseg.data.folders.image_pairs import read_pair
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.images.orientation import MaskOrientation
from jaxseg.data.masks.mask_values import to_labels
from jaxseg.data.originals import Original


class FileOriginals(Sequence[Original]):
    """The examples of pairs of files, read when they are asked for; slices are sequences too.

    Args:
        pairs: The files.
        labels: The label of every value that a mask may have.
        colored: Masks are colors, and `labels` has packed colors.
        channels: Channels that every image is read with.
        dtype: Type that every image must have.
        mask_orientation: Pixels that masks without an orientation tag were drawn on.
    """

    def __init__(
        self,
        pairs: Sequence[FilePair],
        labels: Mapping[int, int],
        *,
        colored: bool,
        channels: int,
        dtype: str,
        mask_orientation: MaskOrientation,
    ):
        self.pairs = pairs
        self._labels = labels
        self._colored = colored
        self._format = {"channels": channels, "dtype": dtype, "mask_orientation": mask_orientation}

    def __len__(self) -> int:
        return len(self.pairs)

    @overload
    def __getitem__(self, index: int) -> Original: ...
    @overload
    def __getitem__(self, index: slice) -> "FileOriginals": ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return FileOriginals(
                self.pairs[index], self._labels, colored=self._colored, **self._format
            )
        pair = self.pairs[index]
        image, values = read_pair(pair, colored=self._colored, **self._format)
        label = to_labels(values, self._labels, pair.mask, colored=self._colored)
        return Original(image, label, pair)
