"""Decides what the values of masks mean, from all masks and the user's list of classes."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jaxseg.data.info import Color
from jaxseg.data.masks import palettes
from jaxseg.data.masks.class_lists import FILE, ClassList
from jaxseg.data.masks.mask_classes import Classes, shown_colors, with_no_data
from jaxseg.data.masks.mask_doubts import (
    OBJECTS,
    REMEDY,
    are_objects,
    check_255,
    check_objects,
    check_palettes,
    check_rare,
    check_unlisted,
)
from jaxseg.data.masks.mask_survey import Entry, MaskSurvey, Tally
from jaxseg.data.masks.mask_values import (
    IGNORE_INDEX,
    list_values,
    pack_color,
    show_value,
    unpack_color,
)

_MOST_VALUES = 64
_MOST_16_BITS = 65535


def assign_labels(survey: MaskSurvey, classes: ClassList | None) -> Classes:
    """Says which label every value of the masks has.

    Values that the list gives count. Otherwise masks are matched by color where the list has
    colors and the masks show them; and else by number: 255 is ignored, but where 0 and 255 are the
    only values, 255 is class 1. Without a list, every other number is a class. With a list of n
    classes, the numbers are 0..n-1, or else n numbers, which are the classes in their order.

    Args:
        survey: What all masks hold.
        classes: The user's list, or None.

    Values that a file declares to be no data (GDAL_NODATA) are ignored.

    Raises:
        ValueError: The values do not fit the list, or they leave open what they mean.
    """
    assigned = with_no_data(survey, lambda rest: _assign(rest, classes))
    if classes is not None and classes.palette is not None:
        return assigned
    return assigned._replace(palette=shown_colors(survey, assigned))


def _assign(survey: MaskSurvey, classes: ClassList | None) -> Classes:
    if classes is not None and classes.values is not None:
        return _by_listed_values(survey, classes)
    if classes is not None and classes.palette is not None:
        return _by_listed_colors(survey, classes)
    _check_are_numbers(survey)
    check_palettes(survey)
    return _by_numbers(survey, classes)


def _by_listed_values(survey: MaskSurvey, classes: ClassList) -> Classes:
    _check_are_numbers(survey)
    groups = enumerate(classes.values or ())
    labels = {value: label for label, group in groups for value in group}
    labels |= dict.fromkeys(classes.ignored_values, IGNORE_INDEX)
    unknown = {v: tally for v, tally in survey.by_number().items() if v not in labels}
    if unknown:
        raise ValueError(
            f"{_found(unknown)}, which {FILE} does not list: add a line `name = value` or "
            f"`ignored = {next(iter(unknown))}`, or correct the mask"
        )
    return Classes(labels, classes.names, _palette(classes, classes.names))


def _by_listed_colors(survey: MaskSurvey, classes: ClassList) -> Classes:
    labels, palette = list_colors(classes), _palette(classes, classes.names)
    unlisted = {e: tally for e, tally in survey.entries.items() if e.color not in labels}
    if not unlisted and any(entry.kind != "gray" for entry in survey.entries):
        return Classes(labels, classes.names, palette, colored=True)
    if not unlisted:  # the masks are gray, and so the numbers say the same as the colors
        numbers = {c & 255: label for c, label in labels.items() if c == (c & 255) * 0x010101}
        numbers |= {entry.number or 0: labels[entry.color or 0] for entry in survey.entries}
        return Classes(_in_order_of_labels(numbers), classes.names, palette)
    if any(entry.kind == "palette" or entry.number is None for entry in survey.entries):
        raise _not_listed(unlisted, labels)
    by_number = _by_numbers(survey, classes)
    for entry, tally in survey.entries.items():
        by_color = labels.get(entry.color if entry.color is not None else -1)
        number = entry.number if entry.number is not None else -1
        if by_color is not None and by_color != by_number.labels[number]:
            names = dict(enumerate(classes.names)) | {IGNORE_INDEX: "ignored"}
            raise ValueError(
                f"{tally.file!r} has the value {number}, which is {names[by_color]!r} by the "
                f"colors of {FILE} and {names[by_number.labels[number]]!r} by its number, "
                "expected one meaning: write lines of `name red green blue = value`"
            )
    return by_number


def _not_listed(unlisted: Mapping[Entry, Tally], labels: Mapping[int, int]) -> ValueError:
    """The error for masks of colors that the list does not have."""
    entry, tally = next(iter(unlisted.items()))
    shown = "" if entry.color is None else " ".join(map(str, unpack_color(entry.color)))
    remedies = (
        "; or, where the palettes' numbers are the classes, write lines of `name red green "
        "blue = number`"
        if any(entry.kind == "palette" for entry in unlisted)
        else ""
    )
    if len(unlisted) > max(8, len(labels)):
        remedies += "; so many colors come of smooth edges or a lossy format: export without"
    remedy = f"add a line `name {shown}` or `ignored {shown}`, or correct the mask{remedies}"
    if entry.color is None:
        remedy = (
            f"no color of the number {entry.number} is known, as it is transparent or beyond "
            "the palette; export the masks without transparency, or say in every line which "
            f"number it is (`name red green blue = number`, `ignored = {entry.number}`)"
        )
    return ValueError(
        f"{tally.file!r} shows {_show_entries(unlisted)}, which {FILE} does not list, expected "
        f"{list_values(labels, colored=True)}: {remedy}"
    )


def _in_order_of_labels(labels: Mapping[int, int]) -> dict[int, int]:
    return dict(sorted(labels.items(), key=lambda item: (item[1], item[0])))


def list_colors(classes: ClassList) -> dict[int, int]:
    """Returns the label of every packed color that a list gives.

    Args:
        classes: A list with colors.
    """
    colors = [*(classes.palette or ()), *classes.ignored]
    labels = [*range(len(classes.palette or ())), *[IGNORE_INDEX] * len(classes.ignored)]
    packed = pack_color(np.array(colors, int).reshape(-1, 3)).tolist()
    return dict(zip(packed, labels, strict=True))


def _check_are_numbers(survey: MaskSurvey) -> None:
    """Refuses masks of colors, and names the colors."""
    colors = {entry: tally for entry, tally in survey.entries.items() if entry.number is None}
    if not colors:
        return
    shown = {entry: tally for entry, tally in survey.entries.items() if entry.kind == "color"}
    smooth = ""
    if len(shown) > _MOST_VALUES:
        smooth = "; so many colors come of smooth edges or a lossy format: export without"
    raise ValueError(
        f"{next(iter(colors.values())).file!r} is a mask of colors, expected class numbers; the "
        f"masks show {_show_entries(shown)}{smooth}: say which color is which class in {FILE}, in "
        "lines of `name red green blue` (jaxseg inspect --write-classes drafts them)"
    )


def _by_numbers(survey: MaskSurvey, classes: ClassList | None) -> Classes:
    tallies = survey.by_number()
    ignored = () if classes is None else classes.ignored_values
    present = [value for value in tallies if value not in ignored]
    if classes is None:
        return _unlisted(survey, present)
    names, count = classes.names, len(classes.names)
    rest = dict.fromkeys((*ignored, IGNORE_INDEX), IGNORE_INDEX)
    values = [value for value in present if value != IGNORE_INDEX]
    if is_binary(present) and count == 2:
        return _binary(present[1], names, _palette(classes, names), ignored)
    check_255(survey, present, names)
    numbering = {label: label for label in range(count)}
    remark = ""
    if not set(values) <= set(numbering) or set(ignored) & set(numbering):
        order = values if len(values) == count else present
        if len(order) != count:
            wrong = next((value for value in values if value not in numbering), values[-1])
            raise ValueError(
                f"{tallies[wrong].file!r} has the value {wrong}, expected 0..{count - 1} for the "
                f"{count} classes listed, or 255 for ignored pixels; all masks together have "
                f"{_counts(tallies)}: correct the mask or the list, or {REMEDY}"
                + f"; if the numbers count objects, {OBJECTS}"
                * are_objects(survey)
            )
        check_rare(survey, order)
        numbering = {value: label for label, value in enumerate(order)}
        pairs = zip(order, names, strict=True)
        remark = "the masks' values are " + ", ".join(f"{v} {name!r}" for v, name in pairs)
    elif values and values[0] > 0:
        raise ValueError(
            f"no mask has the value 0 and {len(values)} of the {count} classes listed occur "
            f"({_counts(tallies)}), so the values may count from 0 or from 1: {REMEDY}"
        )
    return Classes({**rest, **numbering}, names, _palette(classes, names), remark)


def _unlisted(survey: MaskSurvey, present: Sequence[int]) -> Classes:
    names = ("background", "foreground")
    if is_binary(present):
        return _binary(present[1], names, _palette(None, names), ())
    values = [value for value in present if value != IGNORE_INDEX]
    if len(values) < 2:
        raise ValueError(
            f"the masks' only value is {list_values(present)}, expected two classes or more: "
            "check that they are class numbers, and that the background has one; masks without "
            f"any object are fine beside others, or where {FILE} names the classes"
        )
    check_objects(survey)
    tallies = survey.by_number()
    if len(values) > _MOST_VALUES:
        file = tallies[values[_MOST_VALUES]].file
        raise ValueError(
            f"with {file!r} the masks have {len(values)} values, expected at most {_MOST_VALUES} "
            "classes: a smoothed mask, or one that was a JPEG, has such in-between values, so "
            f"export it without; numbers of single objects are no classes, so {OBJECTS}; or, if "
            f"they are classes, {REMEDY}"
        )
    check_unlisted(survey, present)
    names = tuple(f"class {value}" for value in values)
    remarks = []
    if values != list(range(len(values))):
        shown = list_values(values)
        remarks.append(f"the masks' values {shown} are the labels 0..{len(values) - 1}")
    if IGNORE_INDEX in present:
        remarks.append("pixels of 255 are ignored")
    labels = {value: label for label, value in enumerate(values)} | {IGNORE_INDEX: IGNORE_INDEX}
    return Classes(labels, names, _palette(None, names), "; ".join(remarks))


def is_binary(values: Sequence[int]) -> bool:
    """Returns whether these are 0 and the largest number of 8 or 16 bits, and nothing else.

    Args:
        values: The numbers of all masks, in ascending order.
    """
    return list(values) in ([0, IGNORE_INDEX], [0, _MOST_16_BITS])


def _binary(
    value: int, names: tuple[str, ...], palette: tuple[Color, ...], ignored: Iterable[int]
) -> Classes:
    remark = f"the masks' only values are 0 and {value}: 0 is {names[0]!r}, {value} is {names[1]!r}"
    return Classes({0: 0, value: 1} | dict.fromkeys(ignored, IGNORE_INDEX), names, palette, remark)


def _palette(classes: ClassList | None, names: tuple[str, ...]) -> tuple[Color, ...]:
    if classes is not None and classes.palette is not None:
        return classes.palette
    return palettes.with_background(len(names))


def _found(tallies: Mapping[int, Tally]) -> str:
    value, tally = next(iter(tallies.items()))
    others = f"; all values that are not listed: {_counts(tallies)}" if len(tallies) > 1 else ""
    return (
        f"{tally.file!r} has the value {value} ({tally.pixels} pixels in {tally.masks} "
        f"masks){others}"
    )


def _counts(tallies: Mapping[int, Tally]) -> str:
    shown = [f"{value} ({tally.pixels} pixels)" for value, tally in list(tallies.items())[:12]]
    return ", ".join(shown) + (", …" if len(tallies) > 12 else "")


def _show_entries(tallies: Mapping[Entry, Tally]) -> str:
    shown = []
    for entry, tally in sorted(tallies.items(), key=lambda item: -item[1].pixels)[:12]:
        number = f"number {entry.number}"
        color = number if entry.color is None else show_value(entry.color, colored=True)
        index = f", {number} of the palette" if entry.kind == "palette" else ""
        shown.append(f"{color} ({tally.pixels} pixels in {tally.masks} masks{index})")
    return ", ".join(shown) + (", …" if len(tallies) > 12 else "")
