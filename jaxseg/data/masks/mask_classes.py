"""The meaning of the values of masks, and what the masks' own tags and palettes add to it."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from jaxseg.data.info import Color
from jaxseg.data.masks import palettes
from jaxseg.data.masks.class_lists import FILE
from jaxseg.data.masks.mask_survey import MaskSurvey
from jaxseg.data.masks.mask_values import IGNORE_INDEX, unpack_color

_REMOVE_TAG = "where it is a class, remove the tag, as `gdal_edit.py -unsetnodata FILE` does"


class Classes(NamedTuple):
    """The meaning of the values of masks.

    Attributes:
        labels: The label of every value; where masks are colors, of every packed color.
        names: Names of the classes, in the order of the labels.
        palette: Colors of the classes, likewise.
        remark: What was concluded from the values, for the user to check; may be empty.
        colored: The values are packed colors.
    """

    labels: dict[int, int]
    names: tuple[str, ...]
    palette: tuple[Color, ...]
    remark: str = ""
    colored: bool = False

    @property
    def mask_values(self) -> tuple[int | Color, ...]:
        """A value of each class in the masks, or nothing where that is its label."""
        first: dict[int, int] = {}
        for value, label in self.labels.items():
            first.setdefault(label, value)
        values = [first.get(label, label) for label in range(len(self.names))]
        if self.colored:
            return tuple(unpack_color(value) for value in values)
        return () if values == list(range(len(values))) else tuple(values)

    @property
    def ignored_value(self) -> int | Color | None:
        """A value of ignored pixels in the masks, or None where that is 255 or there is none."""
        values = [value for value, label in self.labels.items() if label == IGNORE_INDEX]
        if not values or (not self.colored and IGNORE_INDEX in values):
            return None
        return unpack_color(values[0]) if self.colored else values[0]


def with_no_data(survey: MaskSurvey, assign: Callable[[MaskSurvey], Classes]) -> Classes:
    """Assigns labels, and ignores the values that files declare to be no data (GDAL_NODATA).

    Args:
        survey: What all masks hold.
        assign: Assigns labels to the values of a survey.

    Raises:
        ValueError: `assign` raises it, or takes such a value for a class.
    """
    if not survey.no_data:
        return assign(survey)
    rest = {e: tally for e, tally in survey.entries.items() if e not in survey.no_data}
    try:
        assigned = assign(dataclasses.replace(survey, entries=rest))
    except ValueError as error:
        raise ValueError(f"{error}; {_describe_no_data(survey)} ({_REMOVE_TAG})") from error
    labels = dict(assigned.labels)
    for entry, tally in survey.no_data.items():
        value = entry.color if assigned.colored else entry.number
        label = labels.setdefault(-1 if value is None else value, IGNORE_INDEX)
        if label != IGNORE_INDEX:
            raise ValueError(
                f"{tally.file!r} has the value {entry.number}, which its tag GDAL_NODATA declares "
                f"to be no data, but which is the class {assigned.names[label]!r} by {FILE}, "
                f"expected one meaning: write `ignored = {entry.number}` there, or {_REMOVE_TAG}"
            )
    remark = "; ".join(filter(None, [assigned.remark, _describe_no_data(survey)]))
    return assigned._replace(labels=labels, remark=remark)


def _describe_no_data(survey: MaskSurvey) -> str:
    return "; ".join(
        f"the value {entry.number} is ignored, since the tag GDAL_NODATA of {tally.masks} masks "
        f"such as {tally.file!r} declares it to be no data"
        for entry, tally in survey.no_data.items()
    )


def shown_colors(survey: MaskSurvey, classes: Classes) -> tuple[Color, ...]:
    """Returns the colors in which the masks' palettes show the classes.

    Classes that no mask has, or that no palette shows, get other colors.

    Args:
        survey: What all masks hold.
        classes: What their values mean; its colors are returned where there are no palettes, or
            where these show two classes in one color.
    """
    shown: dict[int, Color] = {}
    for entry in survey.entries:
        if entry.kind == "palette" and entry.color is not None:
            label = classes.labels.get(-1 if entry.number is None else entry.number, IGNORE_INDEX)
            shown.setdefault(label, unpack_color(entry.color))
    shown.pop(IGNORE_INDEX, None)
    if classes.colored or not shown or len(set(shown.values())) < len(shown):
        return classes.palette
    spare = palettes.with_background(len(classes.names) + len(shown))
    others = iter([color for color in spare if color not in shown.values()])
    return tuple(shown.get(label) or next(others) for label in range(len(classes.names)))
