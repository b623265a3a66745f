"""Meaning of the masks of a folder that is not the one of training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxseg import data
from jaxseg.data.folders.class_file import find_list
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.masks.class_lists import FILE, read_classes
from jaxseg.data.masks.mask_doubts import check_palettes
from jaxseg.data.masks.mask_files import read_mask
from jaxseg.data.masks.mask_labels import assign_labels
from jaxseg.data.masks.mask_survey import MaskSurvey
from jaxseg.data.masks.mask_values import IGNORE_INDEX, list_values, pack_color, show_value
from jaxseg.progress import progress_bar


def other_mask_labels(
    info: data.DatasetInfo, root: Path, pairs: Mapping[str, Sequence[FilePair]]
) -> tuple[dict[int, int], bool]:
    """Decide what the values of the masks of another folder mean, from all of its masks.

    Where the folder has a list of classes, that list says it, as in training. Otherwise the values
    mean what they meant in training.

    Args:
        info: What the net was trained on.
        root: The folder.
        pairs: Its images and masks, by split.

    Returns:
        The label of every value, and whether the values are packed colors.

    Raises:
        ValueError: The list has other classes than the net; a value is unknown; or it may mean
            something else than in training.
    """
    path = find_list(root)
    listed = None if path is None else read_classes(path)
    if listed is not None and listed.names != info.class_names:
        raise ValueError(
            f"{path} lists the classes {list(listed.names)}, but the net was trained on "
            f"{list(info.class_names)}: evaluate on data of the same classes, in their order."
        )
    survey = MaskSurvey()
    masks = [pair.mask for listed_pairs in pairs.values() for pair in listed_pairs]
    for mask in progress_bar(masks, desc="looking at all masks"):
        survey.add(read_mask(mask), str(mask))
    if listed is not None:
        classes = assign_labels(survey, listed)
        if classes.remark:
            print(f"{root.name}: {classes.remark}")
        return classes.labels, classes.colored
    labels, colored = mask_labels(info)
    for entry, tally in survey.no_data.items():
        value = entry.color if colored else entry.number
        if value is not None and labels.setdefault(value, IGNORE_INDEX) != IGNORE_INDEX:
            raise _doubtful(
                f"{tally.file!r} has the value {show_value(value, colored=colored)}, which its tag "
                "GDAL_NODATA declares to be no data, but which is a class by the training masks",
                root,
            )
    _check_known(survey, root, labels, colored=colored)
    if not colored:
        _check_numbers(survey, info, root, labels)
    return labels, colored


def mask_labels(info: data.DatasetInfo) -> tuple[dict[int, int], bool]:
    """The label of every value that masks may have, and whether the values are packed colors.

    Args:
        info: What a net was trained on. Where that had no masks in files, the values are those of
            its classes and of ignored pixels.
    """
    if info.mask_labels:
        return dict(info.mask_labels), info.colored_masks
    values = [*(info.mask_values or range(info.classes))]
    colored = any(isinstance(value, tuple) for value in values)
    if info.ignored_value is not None:
        values.append(info.ignored_value)
    elif not colored and IGNORE_INDEX not in values:
        values.append(IGNORE_INDEX)
    packed = [int(pack_color(np.array(v))) if isinstance(v, tuple) else v for v in values]
    labels = [*range(info.classes), *[IGNORE_INDEX] * (len(values) - info.classes)]
    return dict(zip(packed, labels, strict=True)), colored


def _check_known(
    survey: MaskSurvey, root: Path, labels: Mapping[int, int], *, colored: bool
) -> None:
    """Refuse masks of colors for those of numbers, and values that training did not have."""
    for entry, tally in survey.entries.items():
        value = entry.color if colored else entry.number
        if value in labels:
            continue
        if value is None:
            kinds = ("numbers", "colors") if colored else ("colors", "numbers")
            problem = f"is a mask of {kinds[0]}, but the net was trained on masks of {kinds[1]}"
        else:
            known = list_values(sorted(labels), colored=colored)
            problem = f"has the value {show_value(value, colored=colored)}, expected {known}"
        raise _doubtful(f"{tally.file!r} {problem}", root)


def _check_numbers(
    survey: MaskSurvey, info: data.DatasetInfo, root: Path, labels: Mapping[int, int]
) -> None:
    """Refuse numbers that may mean something else than in training."""
    alone, mixed = survey.binary_255, survey.mixed_255
    if labels.get(IGNORE_INDEX) == IGNORE_INDEX and alone.masks and not mixed.masks:
        raise _doubtful(
            f"{alone.masks} masks such as {alone.file!r} hold 255 beside nothing but 0, and no "
            "mask has it beside other values, so 255 may be an object, but it was ignored in "
            "training",
            root,
        )
    try:
        check_palettes(survey)
    except ValueError as error:
        raise _doubtful(
            f"the palettes of the masks leave their meaning open ({error})", root
        ) from (error)
    class_of_color = {int(pack_color(np.array(c))): k for k, c in enumerate(info.palette)}
    for entry, tally in survey.entries.items():
        if entry.kind != "palette" or entry.number is None or entry.color is None:
            continue
        label = labels[entry.number]
        shown = class_of_color.get(entry.color, label)
        if shown != label:
            meant = "ignored" if label == IGNORE_INDEX else repr(info.class_names[label])
            raise _doubtful(
                f"{tally.file!r} has the number {entry.number}, which was {meant} in training, and "
                f"shows it in the color {show_value(entry.color, colored=True)} of "
                f"{info.class_names[shown]!r}",
                root,
            )


def _doubtful(problem: str, root: Path) -> ValueError:
    return ValueError(
        f"{problem}: add a {FILE} to {root}, with the classes of the run in lines of "
        "`name = value` or `name red green blue`, and `ignored = value`, or correct the mask."
    )
