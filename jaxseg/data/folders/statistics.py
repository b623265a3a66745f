"""Statistics of a folder: what its masks hold, and the mean color of its training images.

Every file is opened, so that what is wrong is found before anything is prepared. The result is
kept beside the prepared data sets, for as long as no file changes.
"""

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxseg.data.folders.file_pairs import fingerprint
from jaxseg.data.folders.image_pairs import read_stored_pair
from jaxseg.data.geometry import shrink
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.images.image_statistics import (
    ChannelStatistics,
    common_format,
    read_formats,
    remarks,
)
from jaxseg.data.images.orientation import MaskOrientation
from jaxseg.data.images.repeated_pictures import RepeatedPictures
from jaxseg.data.masks.mask_survey import MaskSurvey
from jaxseg.data.preparation._prepare import data_root, prepared_root, write_cached
from jaxseg.data.preparation.recipe import digest
from jaxseg.progress import progress_bar

_VERSION = 5  # raise it when the same files give other statistics


@dataclasses.dataclass(frozen=True)
class FolderStatistics:
    """The values and the colors that the files of a folder hold.

    Attributes:
        masks: What all masks hold.
        repeated: Pictures that are in two splits: the paths of both files, below the folder.
        mean: Mean of each channel of the training images, in units of full brightness.
        std: Standard deviation of each channel, likewise; at least one step of what is stored.
        dtype: Type of the images: "uint8", "uint16" or "float32".
        remarks: Remarks on the images, for the user.
    """

    masks: MaskSurvey
    repeated: tuple[tuple[str, str], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str
    remarks: tuple[str, ...]


def folder_statistics(
    root: Path,
    pairs: Mapping[str, Sequence[FilePair]],
    size: tuple[int, int] | None,
    *,
    keep_aspect: bool,
    mask_orientation: MaskOrientation,
    data_dir: str | os.PathLike[str] | None,
) -> FolderStatistics:
    """Opens every file of a folder, or recalls what was found when they were last opened.

    Args:
        root: The folder.
        pairs: The pairs of every split.
        size: Height and width in pixels that the images are prepared at; None for their own sizes,
            of which every pixel counts, or an even grid of about a million a large image.
        keep_aspect: Whether they are scaled evenly; otherwise they are stretched.
        mask_orientation: Pixels that masks without an orientation tag were drawn on.
        data_dir: The root of prepared data sets; by default the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Raises:
        ValueError: A file is not as expected, or `data_dir` cannot be written to.
    """
    inputs = {
        "size": size,
        "files": fingerprint(pairs, root, times=True),
        "version": _VERSION,
        "keep_aspect": keep_aspect,
        "mask_orientation": mask_orientation,
    }
    cached = prepared_root(data_dir) / "statistics" / f"{digest(inputs)}.json"
    try:
        return _parse(cached.read_text())
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged
        statistics = _read_all(root, pairs, size, keep_aspect, mask_orientation)
    fields = vars(statistics) | {"masks": statistics.masks.to_json()}
    write_cached(cached, json.dumps(fields), data_root(data_dir))
    return statistics


def _read_all(
    root: Path,
    pairs: Mapping[str, Sequence[FilePair]],
    size: tuple[int, int] | None,
    keep_aspect: bool,
    mask_orientation: MaskOrientation,
) -> FolderStatistics:
    formats = read_formats(pairs)
    channels, dtype = common_format(formats)
    survey, pictures, statistics = (
        MaskSurvey(),
        RepeatedPictures(),
        ChannelStatistics(channels, dtype),
    )
    flat = [(split, pair) for split, listed in pairs.items() for pair in listed]
    for split, pair in progress_bar(flat, desc="looking at all files"):
        image, mask = read_stored_pair(
            pair, channels=channels, dtype=dtype, mask_orientation=mask_orientation
        )
        survey.add(mask, pair.mask.relative_to(root).as_posix())
        pictures.add(image, split, pair.image.relative_to(root).as_posix())
        if split == "train":
            small = shrink(image, size, keep_aspect=keep_aspect) if size else spread_pixels(image)
            statistics.add(small)
    return FolderStatistics(
        masks=survey,
        repeated=tuple(pictures.across_splits),
        mean=statistics.mean,
        std=statistics.std,
        dtype=dtype,
        remarks=remarks(formats, channels, mask_orientation),
    )


def spread_pixels(image: np.ndarray, most: int = 1 << 20) -> np.ndarray:
    """Every n-th pixel of every n-th row, with the least n that leaves about `most` of them."""
    step = max(1, math.isqrt(math.prod(image.shape[:2]) // most))
    return image[::step, ::step]


def _parse(text: str) -> FolderStatistics:
    fields = json.loads(text)
    return FolderStatistics(
        masks=MaskSurvey.from_json(fields["masks"]),
        repeated=tuple((first, second) for first, second in fields["repeated"]),
        mean=tuple(fields["mean"]),
        std=tuple(fields["std"]),
        dtype=fields["dtype"],
        remarks=tuple(fields["remarks"]),
    )
