"""The images that an evaluation is about: a run's own, or those of another folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxseg import data
from jaxseg.commands.run import Run
from jaxseg.data.class_lists import find_list, read_classes
from jaxseg.data.layouts import find_pairs
from jaxseg.data.mask_values import IGNORE_INDEX, pack_color
from jaxseg.data.orientation import MaskOrientation
from jaxseg.data.originals import FileOriginals, Original, PreparedOriginals

ALL = "all"
"""The name that stands for all splits together."""


@dataclass(frozen=True)
class DataPlace:
    """Where the images lie that are evaluated.

    Attributes:
        directory: Another folder of images and masks, or the data set's own if it has been moved;
            None is where it was.
        data_dir: Where prepared data is kept; None is where it was.
        mask_orientation: Pixels that the masks of another folder were drawn on, where they have no
            orientation tag and their images bear one: "upright" or "stored".
    """

    directory: Path | None = None
    data_dir: Path | None = None
    mask_orientation: MaskOrientation = "unknown"


def open_examples(
    run: Run, place: DataPlace, split: str, *, prepared: bool
) -> dict[str, Sequence[Original]]:
    """Open the examples that are evaluated, by split.

    Args:
        run: The net. What the values of masks mean is what they meant when it was trained.
        place: Where the images lie.
        split: A split, or "all".
        prepared: Take the examples at the size that they are prepared at, with their labels.

    Raises:
        ValueError: There is no such split; the folder or a file is missing or not as expected; or
            its classes are not those of the run.
    """
    if place.directory is not None and not is_run_folder(run, place.directory):
        if prepared:
            raise ValueError(
                f"prepared=True goes with the data of the run, not with {str(place.directory)!r}, "
                "which is not prepared: leave out --prepared, or --data.directory."
            )
        if run.info.name in ("folder", "mosaic"):
            orientation = place.mask_orientation
            examples = other_folder(run.info, place.directory, mask_orientation=orientation)
            return _choose(examples, split)
    dataset = run.open_data(directory=place.directory, data_dir=place.data_dir)
    own: dict[str, Sequence[Original]] = {
        name: PreparedOriginals(dataset.source(name)) if prepared else dataset.originals(name)
        for name in dataset.splits
        if split in (ALL, name)
    }
    return own or _choose(dict.fromkeys(dataset.splits, ()), split)


def is_run_folder(run: Run, directory: Path) -> bool:
    """Tell whether a folder is the one that a run was trained on, perhaps moved.

    Args:
        run: The net.
        directory: The folder.
    """
    saved = run.config["data"].get("directory")
    if saved is not None and directory.expanduser().resolve() == Path(saved).expanduser().resolve():
        return True
    files = [pair.image for pairs in getattr(run, "files", {}).values() for pair in pairs]
    return bool(files) and all((directory.expanduser() / name).is_file() for name in files)


def other_folder(
    info: data.DatasetInfo, directory: Path, *, mask_orientation: MaskOrientation = "unknown"
) -> dict[str, FileOriginals]:
    """Open a folder of images and masks whose values mean what they meant in training.

    Args:
        info: What the net was trained on.
        directory: The folder.
        mask_orientation: Pixels that masks without an orientation tag were drawn on, where their
            images bear one.

    Raises:
        ValueError: The folder is not laid out as a data set, or lists other classes.
    """
    root = directory.expanduser()
    if not root.is_dir():
        raise ValueError(f"directory={str(root)!r} is not a folder: correct --data.directory.")
    labels, colored = mask_labels(info)
    path = find_list(root)
    if path is not None:
        listed = read_classes(path)
        if listed.names != info.class_names:
            raise ValueError(
                f"{path} lists the classes {list(listed.names)}, but the net was trained on "
                f"{list(info.class_names)}: evaluate on data of the same classes, in their order."
            )
        if colored and listed.palette is not None and listed.palette != info.mask_values:
            raise ValueError(
                f"{path} gives the classes the colors {list(listed.palette)}, but the net was "
                f"trained on masks of {list(info.mask_values)}: recolor the masks, or correct the "
                "list."
            )
    pairs = find_pairs(root, held_out=None, seed=None)
    return {
        split: FileOriginals(
            listed_pairs,
            labels,
            colored=colored,
            channels=info.channels,
            dtype=info.dtype,
            mask_orientation=mask_orientation,
        )
        for split, listed_pairs in pairs.items()
    }


def mask_labels(info: data.DatasetInfo) -> tuple[dict[int, int], bool]:
    """The label of every value that masks may have, and whether the values are packed colors.

    Args:
        info: What a net was trained on.
    """
    values = [*(info.mask_values or range(info.classes))]
    colored = any(isinstance(value, tuple) for value in values)
    if info.ignored_value is not None:
        values.append(info.ignored_value)
    elif not colored and IGNORE_INDEX not in values:
        values.append(IGNORE_INDEX)
    packed = [int(pack_color(np.array(v))) if isinstance(v, tuple) else v for v in values]
    labels = [*range(info.classes), *[IGNORE_INDEX] * (len(values) - info.classes)]
    return dict(zip(packed, labels, strict=True)), colored


def _choose(
    examples: Mapping[str, Sequence[Original]], split: str
) -> dict[str, Sequence[Original]]:
    if split == ALL:
        return dict(examples)
    if split not in examples:
        raise ValueError(
            f"split={split!r} is not in the data, expected one of {[*examples, ALL]}: give one of "
            "these by --split."
        )
    return {split: examples[split]}
