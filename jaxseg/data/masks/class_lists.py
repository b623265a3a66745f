"""Lists of classes, as users write them: in a text file or as arguments."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxseg import files
from jaxseg.data.info import Color
from jaxseg.data.masks._class_lines import Line, parse_lines

FILE = "classes.txt"
SYNTAX = """\
One class a line, in the order of the labels; what follows # and a space does not count.
  name                        the masks hold 0 for the first name, 1 for the second, ...
  name red green blue         ... or show this color; also: red green blue name, name #rrggbb
  name = 3                    the masks hold 3; also: name: 3, name = 3, 7 and name = 128-255
  name red green blue = 3     the masks hold 3, and figures show the color
  ignored = 255               pixels of this number count nowhere; also: ignored 255
  ignored red green blue      pixels of this color count nowhere"""
_MOST_CLASSES = 254  # 255 is ignored


class ClassList(NamedTuple):
    """Classes as the user lists them: names, and colors and values where they are given.

    Attributes:
        names: Names of the classes, in the order of the labels.
        palette: A color for each, or None.
        ignored: Colors of pixels that are ignored.
        values: The numbers that masks hold for each class, or None where that is to be found out.
        ignored_values: Numbers of pixels that are ignored.
    """

    names: tuple[str, ...]
    palette: tuple[Color, ...] | None
    ignored: tuple[Color, ...] = ()
    values: tuple[tuple[int, ...], ...] | None = None
    ignored_values: tuple[int, ...] = ()


def read_classes(path: Path) -> ClassList:
    """Reads one class a line, as `SYNTAX` describes.

    Args:
        path: The text file, in UTF-8.

    Raises:
        ValueError: The file is not UTF-8; a line cannot be read; only some lines have colors or
            values; a name, a color or a value comes twice or is out of range; or there are fewer
            than 2 or more than 254 classes.
    """
    where = repr(str(path))
    lines = parse_lines(files.read_text(path).splitlines(), where)
    classes = [line for line in lines if not line.is_ignored]
    ignored = [line for line in lines if line.is_ignored]
    has_colors = _all_or_none(classes, [line.color is not None for line in classes], "color", where)
    has_values = _all_or_none(classes, [bool(line.values) for line in classes], "value", where)
    colors = [line.color for line in classes if line.color is not None]
    listed = check_classes(
        [line.name for line in classes],
        colors if has_colors else None,
        ignored=tuple(line.color for line in ignored if line.color is not None),
        where=where,
    )
    values = tuple(line.values for line in classes)
    ignored_values = tuple(value for line in ignored for value in line.values)
    _check_values([*values, ignored_values], where)
    return listed._replace(values=values if has_values else None, ignored_values=ignored_values)


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
            f"{where} lists {repeated} more than once, expected each once: rename them, or give "
            "one line several values (`name = 3, 7`)"
        )
    if palette is None:
        return ClassList(tuple(names), None, _check_colors(ignored, where))
    colors = _check_colors([*palette, *ignored], where)
    if len(palette) != len(names):
        raise ValueError(
            f"{where} has {len(names)} classes and palette {len(palette)} colors, expected as "
            "many: give one color a class"
        )
    return ClassList(tuple(names), colors[: len(names)], ignored)


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


def _check_values(groups: Sequence[tuple[int, ...]], where: str) -> None:
    values = [value for group in groups for value in group]
    if len(set(values)) == len(values):
        return
    repeated = next(value for value in values if values.count(value) > 1)
    raise ValueError(
        f"{where} gives the value {repeated} more than once, expected each once: change one of the "
        "lines"
    )


def _all_or_none(lines: Sequence[Line], given: list[bool], kind: str, where: str) -> bool:
    if any(given) and not all(given):
        bare = lines[given.index(False)].name
        example = "name red green blue" if kind == "color" else "name = value"
        raise ValueError(
            f"{where} gives a {kind} for some classes and none for {bare!r}, expected all or "
            f"none: write `{example}` in every line"
        )
    return any(given)
