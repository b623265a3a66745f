"""Lists of classes: from a text file or arguments, or made up from the values found in masks."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxseg.data import palettes
from jaxseg.data.image_files import IGNORED, pack_colour

Colour = tuple[int, int, int]
FILE = "classes.txt"
_COLOURS_LAST = re.compile(r"(.+?)[\s,;:]+(\d+)[\s,;]+(\d+)[\s,;]+(\d+)")
_COLOURS_FIRST = re.compile(r"(\d+)[\s,;]+(\d+)[\s,;]+(\d+)[\s,;:]+(.+)")
_MOST = 254  # 255 is ignored


class Classes(NamedTuple):
    """What the values of masks mean.

    Attributes:
        labels: The label of every value; where the masks are coloured, of every packed colour.
        names: Of the classes, in the order of the labels.
        palette: Their colours.
        remark: What was concluded from the values, for the user to check; may be empty.
    """

    labels: dict[int, int]
    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    remark: str = ""


class Listed(NamedTuple):
    """Classes as the user lists them: names, and colours if given.

    Attributes:
        names: Of the classes.
        palette: A colour for each, or None.
        ignored: Colours whose pixels are ignored.
    """

    names: tuple[str, ...]
    palette: tuple[Colour, ...] | None
    ignored: tuple[Colour, ...] = ()

    def coloured(self) -> Classes:
        """The meaning of masks of colours.

        Raises:
            ValueError: There are no colours.
        """
        if self.palette is None:
            raise ValueError(
                f"the classes {list(self.names)} have no colours, expected one each as the masks "
                f"are coloured: give palette, or lines of `name red green blue` in {FILE}"
            )
        colours = [*self.palette, *self.ignored]
        numbers = [*range(len(self.palette)), *[IGNORED] * len(self.ignored)]
        labels = dict(zip(pack_colour(np.array(colours)).tolist(), numbers, strict=True))
        return Classes(labels, self.names, self.palette)


def read_classes(path: Path) -> Listed:
    """Reads one class a line: a name, or `name red green blue`, or `red green blue name`.

    Empty lines and those that begin with # do not count. A line `ignored red green blue` gives a
    colour of pixels that are ignored.

    Raises:
        ValueError: Only some lines have colours, or the list is not valid: see `listed`.
    """
    lines = [line.strip() for line in path.read_text().splitlines()]
    entries = [_parse(line) for line in lines if line and not line.startswith("#")]
    ignored = tuple(colour for name, colour in entries if name.lower() == "ignored" and colour)
    kept = [
        (name, colour) for name, colour in entries if not (name.lower() == "ignored" and colour)
    ]
    colours = [colour for _, colour in kept if colour is not None]
    if colours and len(colours) < len(kept):
        bare = next(name for name, colour in kept if colour is None)
        raise ValueError(
            f"{str(path)!r} gives a colour for some classes and none for {bare!r}, expected all or "
            "none: write `name red green blue` in every line"
        )
    names = [name for name, _ in kept]
    return listed(names, colours or None, ignored=ignored, where=repr(str(path)))


def listed(
    names: Sequence[str],
    palette: Sequence[Colour] | None,
    *,
    ignored: tuple[Colour, ...] = (),
    where: str = "class_names",
) -> Listed:
    """Checks a list of classes.

    Raises:
        ValueError: There are fewer than 2 or more than 254 names; a name or colour comes twice; a
            colour is not of three numbers in 0..255; or there are not as many as names.
    """
    if not 2 <= len(names) <= _MOST:
        raise ValueError(
            f"{where} lists {len(names)} classes, expected 2 to {_MOST}: the background is a class "
            "too; correct the list"
        )
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ValueError(f"{where} lists {twice} more than once, expected each once: rename them")
    if palette is None:
        return Listed(tuple(names), None, ignored)
    colours = [tuple(int(part) for part in colour) for colour in (*palette, *ignored)]
    for colour in colours:
        if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
            raise ValueError(
                f"{where} gives the colour {colour}, expected red, green and blue in 0..255: "
                "correct it"
            )
        if colours.count(colour) > 1:
            raise ValueError(
                f"{where} gives the colour {colour} more than once, expected one a class: "
                "change one of them"
            )
    if len(palette) != len(names):
        raise ValueError(
            f"{where} has {len(names)} classes and palette {len(palette)} colours, expected as "
            "many: give one colour a class"
        )
    chosen = tuple((red, green, blue) for red, green, blue in colours[: len(names)])
    return Listed(tuple(names), chosen, ignored)


def from_values(files: Mapping[int, str], classes: Listed | None) -> Classes:
    """Says what the values found in masks of one channel mean.

    255 is ignored, but where 0 and 255 are the only values, 255 is the class 1. Without a list,
    every other value is a class. With a list of n classes, the values are 0..n-1, or else n
    values, which are the classes in their order.

    Args:
        files: A file that has the value, of each value found.
        classes: The user's list, or None.

    Raises:
        ValueError: The values do not fit the list; or there is none and they are fewer than two.
    """
    values = sorted(set(files) - {IGNORED})
    binary = set(files) == {0, IGNORED} and (classes is None or len(classes.names) == 2)
    if binary:
        names = classes.names if classes else ("background", "foreground")
        remark = f"the masks' only values are 0 and 255: 0 is {names[0]!r}, 255 is {names[1]!r}"
        return Classes({0: 0, IGNORED: 1}, names, _palette(classes, names), remark)
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
                f"{_shown(values)}: correct the mask or the list"
            )
        labels = {value: label for label, value in enumerate(values)}
        pairs = zip(values, names, strict=True)
        remark = "the masks' values are " + ", ".join(f"{v} {name!r}" for v, name in pairs)
    return Classes({**labels, IGNORED: IGNORED}, names, _palette(classes, names), remark)


def _unlisted(values: list[int], files: Mapping[int, str]) -> Classes:
    if len(values) < 2:
        raise ValueError(
            f"the masks' only value is {_shown(sorted(files))}, expected two classes or more: "
            "check that they are class numbers, and that the background has one"
        )
    names = tuple(f"class {value}" for value in values)
    parts = []
    if values != list(range(len(values))):
        parts.append(f"the masks' values {_shown(values)} are the labels 0..{len(values) - 1}")
    if IGNORED in files:
        parts.append("pixels of 255 are ignored")
    labels = {value: label for label, value in enumerate(values)} | {IGNORED: IGNORED}
    return Classes(labels, names, _palette(None, names), "; ".join(parts))


def _palette(classes: Listed | None, names: tuple[str, ...]) -> tuple[Colour, ...]:
    if classes is not None and classes.palette is not None:
        return classes.palette
    return (palettes.BACKGROUND, *palettes.distinct(len(names) - 1))


def _parse(line: str) -> tuple[str, Colour | None]:
    if match := _COLOURS_LAST.fullmatch(line):
        name, red, green, blue = match.groups()
    elif match := _COLOURS_FIRST.fullmatch(line):
        red, green, blue, name = match.groups()
    else:
        return line, None
    return name.strip(), (int(red), int(green), int(blue))


def _shown(values: Collection[int]) -> str:
    some = list(values)
    return ", ".join(map(str, some[:12])) + (", …" if len(some) > 12 else "")
