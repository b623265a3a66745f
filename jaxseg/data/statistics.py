"""A look at all files of a folder: which values its masks have, and the training images' colours.

Every file is opened, so what is wrong is found before anything is prepared. The answer is kept
beside the prepared data sets, for as long as no file changes.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from jaxseg.data._prepare import data_root, keep_text
from jaxseg.data.builder import recipe_name
from jaxseg.data.class_lists import FILE, Listed
from jaxseg.data.file_pairs import SceneFiles, fingerprint
from jaxseg.data.image_files import IGNORED, Files, present, read_pair, shrink, to_labels

_MOST_VALUES = 64
_LEAST_STD = 1 / 255


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a folder's files hold.

    Attributes:
        values: The first file, below the folder, of each value in the masks; empty if coloured.
        coloured: The masks are colours, all of them listed.
        mean: Of the training images' channels at the size asked for, in units of full brightness.
        std: The standard deviation, likewise.
    """

    values: Mapping[int, str]
    coloured: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


def survey(
    root: Path,
    files: Mapping[str, Sequence[Files]],
    classes: Listed | None,
    size: tuple[int, int],
    *,
    keep_aspect: bool,
    data_dir: str | os.PathLike[str] | None,
) -> Survey:
    """Opens every file of a folder, or recalls what was found when they were last opened.

    Args:
        root: The folder.
        files: The pairs of every split.
        classes: The user's list of classes, or None.
        size: Height and width that the colours' mean is taken at.
        keep_aspect: As in `pictures.shrink`.
        data_dir: The root of prepared data sets.

    Raises:
        ValueError: A file is not as expected; the masks have colours that are not listed, or more
            than 64 values with no list; or `data_dir` cannot be written to.
    """
    name = recipe_name(
        "survey",
        size=size,
        files=fingerprint(files, root, times=True),
        classes=classes,
        keep_aspect=keep_aspect,
    )
    kept = data_root(data_dir) / SceneFiles.name / "surveys" / f"{name}.json"
    try:
        return _parse(kept.read_text())
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged
        found = _look(root, files, classes, size, keep_aspect)
    keep_text(kept, json.dumps(dataclasses.asdict(found)), data_root(data_dir))
    return found


def _look(
    root: Path,
    files: Mapping[str, Sequence[Files]],
    classes: Listed | None,
    size: tuple[int, int],
    keep_aspect: bool,
) -> Survey:
    coloured = _is_coloured(files["train"][0].mask, classes)
    labels = classes.coloured().labels if coloured and classes else {}
    values: dict[int, str] = {}
    sums = np.zeros((3, 3))  # number, sum and sum of squares, of each channel
    pairs = [(split, pair) for split, listed in files.items() for pair in listed]
    for split, pair in tqdm(pairs, desc="looking at all files", leave=False):
        image, found = read_pair(pair, coloured=coloured)
        if coloured:
            to_labels(found, labels, pair.mask)
        else:
            for value in present(found):
                values.setdefault(value, pair.mask.relative_to(root).as_posix())
            _check_count(values, classes, pair.mask)
        if split == "train":
            small = np.asarray(shrink(image, size, keep_aspect=keep_aspect)) / 255
            sums += [np.full(3, small[..., 0].size), small.sum((0, 1)), (small**2).sum((0, 1))]
    mean = sums[1] / sums[0]
    std = np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, _LEAST_STD**2))
    return Survey(values, coloured, tuple(mean.tolist()), tuple(std.tolist()))


def _is_coloured(mask: Path, classes: Listed | None) -> bool:
    """Whether masks are read as colours: they are stored so, and the classes have colours."""
    if classes is None or classes.palette is None:
        return False
    try:
        with Image.open(mask) as image:
            return image.mode in ("RGB", "RGBA")
    except OSError:
        return False  # it is named when it is read


def _check_count(values: Mapping[int, str], classes: Listed | None, mask: Path) -> None:
    count = len(set(values) - {IGNORED})
    if classes is None and count > _MOST_VALUES:
        raise ValueError(
            f"with {str(mask)!r} the masks have {count} values, expected at most {_MOST_VALUES} "
            "classes: an anti-aliased or smoothed mask has such in-between values, so export it "
            f"without; or, if they are classes, list them in {FILE}"
        )


def _parse(text: str) -> Survey:
    found = json.loads(text)
    values = {int(value): file for value, file in found["values"].items()}
    return Survey(values, found["coloured"], tuple(found["mean"]), tuple(found["std"]))
