"""Statistics of a folder: which values its masks have, and the mean color of its training images.

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
from PIL import Image
from tqdm import tqdm

from jaxseg.data._prepare import data_root, prepared_root, write_cached
from jaxseg.data.class_lists import FILE, ClassList
from jaxseg.data.file_pairs import fingerprint
from jaxseg.data.image_files import FilePair, read_pair
from jaxseg.data.letterbox import shrink
from jaxseg.data.mask_values import IGNORE_INDEX, distinct_values, to_labels
from jaxseg.data.recipe import digest

_MOST_VALUES = 64
_LEAST_STD = 1 / 255


@dataclasses.dataclass(frozen=True)
class FolderStatistics:
    """The values and the colors that the files of a folder hold.

    Attributes:
        values: For each value in the masks, the first file that has it, below the folder; empty
            where masks are colors.
        colored: Masks are colors, all of them listed.
        mean: Mean of each channel of the training images, in units of full brightness.
        std: Standard deviation of each channel, likewise; at least 1/255.
    """

    values: Mapping[int, str]
    colored: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


def folder_statistics(
    root: Path,
    pairs: Mapping[str, Sequence[FilePair]],
    classes: ClassList | None,
    size: tuple[int, int] | None,
    *,
    keep_aspect: bool,
    data_dir: str | os.PathLike[str] | None,
) -> FolderStatistics:
    """Opens every file of a folder, or recalls what was found when they were last opened.

    Args:
        root: The folder.
        pairs: The pairs of every split.
        classes: The user's list of classes, or None.
        size: Height and width in pixels that the images are prepared at; None for their own sizes,
            of which every pixel counts, or an even grid of about a million a large image.
        keep_aspect: Whether they are scaled evenly; otherwise they are stretched.
        data_dir: The root of prepared data sets; by default the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.

    Raises:
        ValueError: A file is not as expected; the masks have colors that are not listed, or more
            than 64 values with no list; or `data_dir` cannot be written to.
    """
    inputs = {
        "size": size,
        "files": fingerprint(pairs, root, times=True),
        "classes": classes,
        "keep_aspect": keep_aspect,
    }
    cached = prepared_root(data_dir) / "statistics" / f"{digest(inputs)}.json"
    try:
        return _parse(cached.read_text())
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged
        found = _read_all(root, pairs, classes, size, keep_aspect)
    write_cached(cached, json.dumps(dataclasses.asdict(found)), data_root(data_dir))
    return found


def _read_all(
    root: Path,
    pairs: Mapping[str, Sequence[FilePair]],
    classes: ClassList | None,
    size: tuple[int, int] | None,
    keep_aspect: bool,
) -> FolderStatistics:
    colored = _is_colored(pairs["train"][0].mask, classes)
    labels = classes.by_color().labels if colored and classes else {}
    first_files: dict[int, str] = {}
    sums = np.zeros((3, 3))  # number, sum and sum of squares, of each channel
    flat = [(split, pair) for split, listed in pairs.items() for pair in listed]
    for split, pair in tqdm(flat, desc="looking at all files", leave=False):
        image, values = read_pair(pair, colored=colored)
        if colored:
            to_labels(values, labels, pair.mask)
        else:
            for value in distinct_values(values):
                first_files.setdefault(value, pair.mask.relative_to(root).as_posix())
            _check_count(first_files, classes, pair.mask)
        if split == "train":
            if size is None:
                small = spread_pixels(np.asarray(image)) / 255
            else:
                small = np.asarray(shrink(image, size, keep_aspect=keep_aspect)) / 255
            sums += [np.full(3, small[..., 0].size), small.sum((0, 1)), (small**2).sum((0, 1))]
    mean = sums[1] / sums[0]
    std = np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, _LEAST_STD**2))
    return FolderStatistics(first_files, colored, tuple(mean.tolist()), tuple(std.tolist()))


def spread_pixels(image: np.ndarray, most: int = 1 << 20) -> np.ndarray:
    """Every n-th pixel of every n-th row, with the least n that leaves about `most` of them."""
    step = max(1, math.isqrt(math.prod(image.shape[:2]) // most))
    return image[::step, ::step]


def _is_colored(mask: Path, classes: ClassList | None) -> bool:
    """Masks are read as colors where they are stored so and the classes have colors."""
    if classes is None or classes.palette is None:
        return False
    try:
        with Image.open(mask) as image:
            return image.mode in ("RGB", "RGBA")
    except OSError:
        return False  # it is named when it is read


def _check_count(values: Mapping[int, str], classes: ClassList | None, mask: Path) -> None:
    count = len(set(values) - {IGNORE_INDEX})
    if classes is None and count > _MOST_VALUES:
        raise ValueError(
            f"with {str(mask)!r} the masks have {count} values, expected at most {_MOST_VALUES} "
            "classes: an anti-aliased or smoothed mask has such in-between values, so export it "
            f"without; or, if they are classes, list them in {FILE}"
        )


def _parse(text: str) -> FolderStatistics:
    found = json.loads(text)
    values = {int(value): file for value, file in found["values"].items()}
    return FolderStatistics(values, found["colored"], tuple(found["mean"]), tuple(found["std"]))
