"""Lists of classes: from a text file, from arguments, or made up from the values found in masks."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxseg.data import palettes
from jaxseg.data.mask_values import IGNORE_INDEX, pack_color
from jaxseg.data.sources import Color

FILE = "classes.txt"
_COLOR_LAST = re.compile(r"(.+?)[\s,;:]+(\d+)[\s,;]+(\d+)[\s,;]+(\d+)")
_COLOR_FIRST = re.compile(r"(\d+)[\s,;]+(\d+)[\s,;]+(\d+)[\s,;:]+(.+)")
_MOST_CLASSES = 254  # 255 is ignored


class Classes(NamedTuple):
    """The meaning of the values of masks.

    Attributes:
        labels: The label of every value; where masks are colors, of every packed color.
        names: Names of the classes, in the order of the labels.
        palette: Colors of the classes, likewise.
        remark: What was concluded from the values, for the user to check; may be empty.
    """

    labels: dict[int, int]
    names: tuple[str, ...]
    palette: tuple[Color, ...]
    remark: str = ""


class ClassList(NamedTuple):
    """Classes as the user lists them: names, and colors where they are given.

    Attributes:
        names: Names of the classes, in the order of the labels.
        palette: A color for each, or None.
        ignored: Colors of pixels that are ignored.
    """

    names: tuple[str, ...]
    palette: tuple[Color, ...] | None
    ignored: tuple[Color, ...] = ()

    def by_color(self) -> Classes:
        """The meaning of masks whose values are colors.

        Raises:
            ValueError: The list has no colors.
        """
        if self.palette is None:
            raise ValueError(
                f"the classes {list(self.names)} have no colors, expected one each as the masks "
                f"are colors: give palette, or lines of `name red green blue` in {FILE}"
            )
        colors = [*self.palette, *self.ignored]
        labels = [*range(len(self.palette)), *[IGNORE_INDEX] * len(self.ignored)]
        packed = pack_color(np.array(colors)).tolist()
        return Classes(dict(zip(packed, labels, strict=True)), self.names, self.palette)


def read_classes(path: Path) -> ClassList:
    """Reads one class a line: a name, or `name red green blue`, or `red green blue name`.

    Empty lines and those that begin with # do not count. A line `ignored red green blue` gives a
    color of pixels that are ignored.

    Args:
        path: The text file.

    Raises:
        ValueError: Only some lines have colors, or a name or color comes twice, is out of
            range, or there are fewer than 2 or more than 254 classes.
    """
    lines = [line.strip() for line in path.read_text().splitlines()]
    entries = [_parse(line) for line in lines if line and not line.startswith("#")]
    ignored = tuple(color for name, color in entries if _is_ignored(name, color) and color)
    classes = [(name, color) for name, color in entries if not _is_ignored(name, color)]
    colors = [color for _, color in classes if color is not None]
    if colors and len(colors) < len(classes):
        bare = next(name for name, color in classes if color is None)
        raise ValueError(
            f"{str(path)!r} gives a color for some classes and none for {bare!r}, expected all or "
            "none: write `name red green blue` in every line"
        )
    names = [name for name, _ in classes]
    return check_classes(names, colors or None, ignored=ignored, where=repr(str(path)))


def check_classes(
    names: Sequence[str],
    palette: Sequence[Color] | None,
    *,
    ignored: tuple[Color, ...] = (),
    where: str = "class_names",
) -> ClassList:
    """Checks a list of classes.

    Args:
        names: Names of the classes.
        palette: A color for each, or None.
        ignored: Colors of pixels that are ignored.
        where: Where the list stands, for the messages.

    Raises:
        ValueError: There are fewer than 2 or more than 254 names; a name or a color comes twice; a
            color is not of three numbers in 0..255; or there are more or fewer than names.
    """
    if not 2 <= len(names) <= _MOST_CLASSES:
        raise ValueError(
            f"{where} lists {len(names)} classes, expected 2 to {_MOST_CLASSES}: the background is "
            "a class too; correct the list"
        )
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise ValueError(
            f"{where} lists {repeated} more than once, expected each once: rename them"
        )
    if palette is None:
        return ClassList(tuple(names), None, ignored)
    colors = _check_colors([*palette, *ignored], where)
    if len(palette) != len(names):
        raise ValueError(
            f"{where} has {len(names)} classes and palette {len(palette)} colors, expected as "
            "many: give one color a class"
        )
    return ClassList(tuple(names), colors[: len(names)], ignored)


def from_values(files: Mapping[int, str], classes: ClassList | None) -> Classes:
    """Says what the values mean that were found in masks of one channel.

    255 is ignored; but where 0 and 255 are the only values, 255 is class 1. Without a list, every
    other value is a class. With a list of n classes, the values are 0..n-1, or else n values,
    which are the classes in their order.

    Args:
        files: A file that has the value, for each value found.
        classes: The user's list, or None.

    Raises:
        ValueError: The values do not fit the list; or there is none and they are fewer than two.
    """
    values = sorted(set(files) - {IGNORE_INDEX})
    binary = set(files) == {0, IGNORE_INDEX} and (classes is None or len(classes.names) == 2)
    if binary:
        names = classes.names if classes else ("background", "foreground")
        remark = f"the masks' only values are 0 and 255: 0 is {names[0]!r}, 255 is {names[1]!r}"
        return Classes({0: 0, IGNORE_INDEX: 1}, names, _palette(classes, names), remark)
    if classes is None:
        return _unlisted(values, files)
    names, count = classes.names, len(classes.names)
    labels, remark = {label: label for label in range(count)}, ""
    if not set(values) <= set(labels):
        if len(values) != count:
            wrong = next(value for value in values if value not in labels)
            raise ValueError(
                f"{files[wrong]!r} has the value {wrong}, expected 0..{count - 1} for the "
                f"{count} classes listed, or 255 for ignored pixels; all masks together have "
                f"{_shorten(values)}: correct the mask or the list"
            )
        labels = {value: label for label, value in enumerate(values)}
        pairs = zip(values, names, strict=True)
        remark = "the masks' values are " + ", ".join(f"{v} {name!r}" for v, name in pairs)
    return Classes({**labels, IGNORE_INDEX: IGNORE_INDEX}, names, _palette(classes, names), remark)


def _unlisted(values: list[int], files: Mapping[int, str]) -> Classes:
    if len(values) < 2:
        raise ValueError(
            f"the masks' only value is {_shorten(sorted(files))}, expected two classes or more: "
            "check that they are class numbers, and that the background has one"
        )
    names = tuple(f"class {value}" for value in values)
    remarks = []
    if values != list(range(len(values))):
        remarks.append(f"the masks' values {_shorten(values)} are the labels 0..{len(values) - 1}")
    if IGNORE_INDEX in files:
        remarks.append("pixels of 255 are ignored")
    labels = {value: label for label, value in enumerate(values)} | {IGNORE_INDEX: IGNORE_INDEX}
    return Classes(labels, names, _palette(None, names), "; ".join(remarks))


def _check_colors(colors: Sequence[Color], where: str) -> tuple[Color, ...]:
    checked = [tuple(int(part) for part in color) for color in colors]
    for color in checked:
        if len(color) != 3 or not all(0 <= part <= 255 for part in color):
            raise ValueError(
                f"{where} gives the color {color}, expected red, green and blue in 0..255: "
                "correct it"
            )
        if checked.count(color) > 1:
            raise ValueError(
                f"{where} gives the color {color} more than once, expected one a class: "
                "change one of them"
            )
    return tuple((red, green, blue) for red, green, blue in checked)


def _palette(classes: ClassList | None, names: tuple[str, ...]) -> tuple[Color, ...]:
    if classes is not None and classes.palette is not None:
        return classes.palette
    return (palettes.BACKGROUND, *palettes.distinct(len(names) - 1))


def _is_ignored(name: str, color: Color | None) -> bool:
    return name.lower() == "ignored" and color is not None


def _parse(line: str) -> tuple[str, Color | None]:
    if match := _COLOR_LAST.fullmatch(line):
        name, red, green, blue = match.groups()
    elif match := _COLOR_FIRST.fullmatch(line):
        red, green, blue, name = match.groups()
    else:
        return line, None
    return name.strip(), (int(red), int(green), int(blue))


def _shorten(values: Collection[int]) -> str:
    listed = list(values)
    return ", ".join(map(str, listed[:12])) + (", …" if len(listed) > 12 else "")
