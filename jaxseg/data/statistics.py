"""Statistics of a folder: which values its masks have, and the mean color of its training images.

Every file is opened, so that what is wrong is found before anything is prepared. The result is
kept beside the prepared data sets, for as long as no file changes.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from jaxseg.data._prepare import data_root, prepared_root, write_cached
from jaxseg.data.class_lists import FILE, ClassList
from jaxseg.data.file_pairs import fingerprint
from jaxseg.data.image_files import FilePair
from jaxseg.data.image_pairs import read_pair
from jaxseg.data.image_statistics import ChannelStatistics, common_format, read_formats, remarks
from jaxseg.data.letterbox import shrink
from jaxseg.data.mask_values import IGNORE_INDEX, distinct_values, to_labels
from jaxseg.data.orientation import MaskOrientation
from jaxseg.data.recipe import digest

_MOST_VALUES = 64


@dataclasses.dataclass(frozen=True)
class FolderStatistics:
    """The values and the colors that the files of a folder hold.

    Attributes:
        values: For each value in the masks, the first file that has it, below the folder; empty
            where masks are colors.
        colored: Masks are colors, all of them listed.
        mean: Mean of each channel of the training images, in units of full brightness.
        std: Standard deviation of each channel, likewise; at least one step of what is stored.
        dtype: Type of the images: "uint8", "uint16" or "float32".
        remarks: What is to be said of the images.
    """

    values: Mapping[int, str]
    colored: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str
    remarks: tuple[str, ...]


def folder_statistics(
    root: Path,
    pairs: Mapping[str, Sequence[FilePair]],
    classes: ClassList | None,
    size: tuple[int, int],
    *,
    keep_aspect: bool,
    mask_orientation: MaskOrientation,
    data_dir: str | os.PathLike[str] | None,
) -> FolderStatistics:
    """Opens every file of a folder, or recalls what was found when they were last opened.

    Args:
        root: The folder.
        pairs: The pairs of every split.
        classes: The user's list of classes, or None.
        size: Height and width in pixels that the images are prepared at.
        keep_aspect: Whether they are scaled evenly; otherwise they are stretched.
        mask_orientation: Pixels that masks without an orientation tag were drawn on.
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
        "mask_orientation": mask_orientation,
    }
    cached = prepared_root(data_dir) / "statistics" / f"{digest(inputs)}.json"
    try:
        return _parse(cached.read_text())
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged
        found = _read_all(root, pairs, classes, size, keep_aspect, mask_orientation)
    write_cached(cached, json.dumps(dataclasses.asdict(found)), data_root(data_dir))
    return found


def _read_all(
    root: Path,
    pairs: Mapping[str, Sequence[FilePair]],
    classes: ClassList | None,
    size: tuple[int, int],
    keep_aspect: bool,
    mask_orientation: MaskOrientation,
) -> FolderStatistics:
    formats = read_formats(pairs)
    channels, dtype = common_format(formats)
    colored = _is_colored(pairs["train"][0].mask, classes)
    labels = classes.by_color().labels if colored and classes else {}
    first_files: dict[int, str] = {}
    statistics = ChannelStatistics(channels, dtype)
    flat = [(split, pair) for split, listed in pairs.items() for pair in listed]
    for split, pair in tqdm(flat, desc="looking at all files", leave=False):
        image, values = read_pair(
            pair, colored=colored, channels=channels, dtype=dtype, mask_orientation=mask_orientation
        )
        if colored:
            to_labels(values, labels, pair.mask)
        else:
            for value in distinct_values(values):
                first_files.setdefault(value, pair.mask.relative_to(root).as_posix())
            _check_count(first_files, classes, pair.mask)
        if split == "train":
            statistics.add(shrink(image, size, keep_aspect=keep_aspect))
    said = remarks(formats, channels, mask_orientation)
    return FolderStatistics(first_files, colored, statistics.mean, statistics.std, dtype, said)


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
    lists = {name: tuple(found[name]) for name in ("mean", "std", "remarks")}
    return FolderStatistics(values=values, colored=found["colored"], dtype=found["dtype"], **lists)
