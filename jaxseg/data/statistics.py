"""Statistics of a folder: what its masks hold, and the mean color of its training images.

Every file is opened, so that what is wrong is found before anything is prepared. The result is
kept beside the prepared data sets, for as long as no file changes.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxseg.data._prepare import data_root, prepared_root, write_cached
from jaxseg.data.file_pairs import fingerprint
from jaxseg.data.image_files import FilePair
from jaxseg.data.image_pairs import read_stored_pair
from jaxseg.data.letterbox import shrink
from jaxseg.data.mask_survey import MaskSurvey
from jaxseg.data.recipe import digest
from jaxseg.data.repeated_pictures import RepeatedPictures

_VERSION = 2  # raise it when the same files give other statistics
_LEAST_STD = 1 / 255


@dataclasses.dataclass(frozen=True)
class FolderStatistics:
    """The values and the colors that the files of a folder hold.

    Attributes:
        masks: What all masks hold.
        repeated: Pictures that are in two splits: the paths of both files, below the folder.
        mean: Mean of each channel of the training images, in units of full brightness.
        std: Standard deviation of each channel, likewise; at least 1/255.
    """

    masks: MaskSurvey
    repeated: tuple[tuple[str, str], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def folder_statistics(
    root: Path,
    pairs: Mapping[str, Sequence[FilePair]],
    size: tuple[int, int],
    *,
    keep_aspect: bool,
    data_dir: str | os.PathLike[str] | None,
) -> FolderStatistics:
    """Opens every file of a folder, or recalls what was found when they were last opened.

    Args:
        root: The folder.
        pairs: The pairs of every split.
        size: Height and width in pixels that the images are prepared at.
        keep_aspect: Whether they are scaled evenly; otherwise they are stretched.
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
    }
    cached = prepared_root(data_dir) / "statistics" / f"{digest(inputs)}.json"
    try:
        return _parse(cached.read_text())
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged
        statistics = _read_all(root, pairs, size, keep_aspect)
    fields = {
        "masks": statistics.masks.to_json(),
        "repeated": statistics.repeated,
        "mean": statistics.mean,
        "std": statistics.std,
    }
    write_cached(cached, json.dumps(fields), data_root(data_dir))
    return statistics


def _read_all(
    root: Path, pairs: Mapping[str, Sequence[FilePair]], size: tuple[int, int], keep_aspect: bool
) -> FolderStatistics:
    survey, pictures = MaskSurvey(), RepeatedPictures()
    sums = np.zeros((3, 3))  # number, sum and sum of squares, of each channel
    flat = [(split, pair) for split, listed in pairs.items() for pair in listed]
    for split, pair in tqdm(flat, desc="looking at all files", leave=False):
        image, mask = read_stored_pair(pair)
        survey.add(mask, pair.mask.relative_to(root).as_posix())
        pictures.add(np.asarray(image), split, pair.image.relative_to(root).as_posix())
        if split == "train":
            small = np.asarray(shrink(image, size, keep_aspect=keep_aspect)) / 255
            sums += [np.full(3, small[..., 0].size), small.sum((0, 1)), (small**2).sum((0, 1))]
    mean = sums[1] / sums[0]
    std = np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, _LEAST_STD**2))
    return FolderStatistics(
        survey, tuple(pictures.across_splits), tuple(mean.tolist()), tuple(std.tolist())
    )


def _parse(text: str) -> FolderStatistics:
    fields = json.loads(text)
    return FolderStatistics(
        MaskSurvey.from_json(fields["masks"]),
        tuple((first, second) for first, second in fields["repeated"]),
        tuple(fields["mean"]),
        tuple(fields["std"]),
    )
