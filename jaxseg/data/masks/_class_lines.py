"""The lines of a list of classes: a name with its color and its values."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from jaxseg.data.info import Color

IGNORED = "ignored"
_MOST_VALUES = 1 << 16
_LABELME_IGNORED = "__ignore__"  # the first line of labelme's lists, of the number -1 or 255
_TRIPLE = r"(\d+)[\s,;]+(\d+)[\s,;]+(\d+)"
_BRACKETS = (rf"{_TRIPLE}", rf"(?:rgb\s*)?\(\s*{_TRIPLE}\s*\)", rf"(?:rgb\s*)?\[\s*{_TRIPLE}\s*\]")
# Behind a color may stand separators without content, as in CVAT's `name:255,0,0::`.
_COLOR_LAST = [re.compile(rf"(.+?)[\s,;:=]+{color}[\s,;:]*", re.I) for color in _BRACKETS]
_COLOR_FIRST = [re.compile(rf"{color}[\s,;:]+(.+)", re.I) for color in _BRACKETS]
_HEX = r"(?:#|0x)([0-9a-f]{6}|(?<=#)[0-9a-f]{3})"
_HEX_LAST = re.compile(rf"(.+?)[\s,;:=]+{_HEX}[\s,;:]*", re.I)
_HEX_FIRST = re.compile(rf"{_HEX}[\s,;:=]+(.+)", re.I)
_VALUE_LAST = re.compile(r"([^:\t,;]*[^\s,;:])\s*(?::|[\t,;])\s*(-?\d[\d\s,.-]*)")
_RANGE = re.compile(r"\s*(-?\d+)\s*(?:(?:-|\.\.)\s*(-?\d+)\s*)?")
_COMMENT_LAST = re.compile(r"\s#(?:\s.*)?$")
_NUMBER = r"-?\d+(?:\.\d*)?"
# What is left in a name where a color or a value was not understood.
_UNREAD = re.compile(
    rf"""(?:^|.*[\s,;:=]){_NUMBER}[\s,;:]+{_NUMBER}[\s,;:]*   # several numbers at the end
    |{_NUMBER}[\s,;:]+{_NUMBER}[\s,;:].*                      # or at the beginning
    |.*[\s,;:=]{_NUMBER}[\s,;:]+{_NUMBER}[\s,;:]+{_NUMBER}[\s,;:].*  # or three in between
    |.*[,;:=\t]\s*{_NUMBER}[\s,;:]*                           # a number behind a separator
    |{_NUMBER}\s*(?:[,;:=\t]|[-=]>).*                         # or before one
    |.*\s{_NUMBER}[\d.]*\.\d*                                 # a fraction
    |.*[(\[]\s*{_NUMBER}[\s,;].*                              # several numbers in brackets
    |.*[\s,;:=](?:\#\S|0x[0-9a-f]).*                          # hexadecimal digits
    |.*[{{}}].* |["'].*["'] |[-*]\s.* |.*[,;:=]               # JSON, YAML and tables
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Line(NamedTuple):
    """A line of a list.

    Attributes:
        name: The name of the class, or "ignored".
        color: Its color, or None.
        values: The numbers that masks hold for it, or none.
        text: The line as it is written.
    """

    name: str
    color: Color | None
    values: tuple[int, ...]
    text: str

    @property
    def is_ignored(self) -> bool:
        """True for a line of ignored pixels."""
        return self.name.lower() == IGNORED and (self.color is not None or bool(self.values))


def parse_lines(texts: Sequence[str], where: str) -> list[Line]:
    """Reads the lines of a list, without comments.

    Args:
        texts: All lines.
        where: The file, for the messages.

    Raises:
        ValueError: A line cannot be read.
    """
    lines = []
    for text in map(str.strip, texts):
        if not text or _is_comment(text, where):
            continue
        if text == _LABELME_IGNORED and not lines:
            lines.append(Line(IGNORED, None, (255,), text))
        else:
            lines.append(_parse(text, where))
    _check_numbering(lines, where)
    for line in lines:
        _check_name(line, where)
        _check_opacity(line, lines, where)
    return lines


def _is_comment(text: str, where: str) -> bool:
    if not text.startswith("#"):
        return False
    match = _HEX_FIRST.fullmatch(text)
    if match is None:
        return True
    digits = match.group(1).lower()
    if digits.isalpha() and len(set(digits)) > 1:  # as in `#add more`
        raise ValueError(
            f"the line {text!r} of {where} may be a comment or begin with a color: write a space "
            f"behind the # of a comment, or the color behind the name (`name #{digits}`)"
        )
    return False


def _parse(text: str, where: str) -> Line:
    body = _COMMENT_LAST.sub("", text).strip()
    head, equals, tail = body.rpartition("=")
    values: tuple[int, ...] = ()
    if equals and (parsed := _parse_values(tail, text, where)):
        values, head = parsed, head.strip()
    else:
        head = body
    name, color = _parse_color(head)
    if color is None and not values and (match := _VALUE_LAST.fullmatch(head)):
        values = _parse_values(match.group(2), text, where)
        name = match.group(1) if values else name
    if match := re.fullmatch(r"ignored\s+(-?\d+)", head, re.IGNORECASE):
        name, values = IGNORED, (int(match.group(1)),)
    unread = equals and not values and color is None
    if not name or unread or (color is not None and re.match(r"\d+[\s,;:]", name)):
        raise _unreadable(text, where)
    return Line(name, color, values, text)


def _parse_values(text: str, line: str, where: str) -> tuple[int, ...]:
    """The numbers of `3`, `3, 7` or `128-255`; none where the text is not of these."""
    values: list[int] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            return ()
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if not first <= last < first + _MOST_VALUES:
            raise ValueError(
                f"the line {line!r} of {where} has the range {part.strip()!r}, expected one that "
                f"ascends, of at most {_MOST_VALUES} values: correct it"
            )
        values.extend(range(first, last + 1))
    return tuple(values)


def _parse_color(text: str) -> tuple[str, Color | None]:
    if match := _HEX_LAST.fullmatch(text):
        return match.group(1).strip(), _from_hex(match.group(2))
    if match := _HEX_FIRST.fullmatch(text):
        return match.group(2).strip(), _from_hex(match.group(1))
    for pattern in _COLOR_LAST:
        if match := pattern.fullmatch(text):
            name, red, green, blue = match.groups()
            return name.strip(), (int(red), int(green), int(blue))
    for pattern in _COLOR_FIRST:
        if match := pattern.fullmatch(text):
            red, green, blue, name = match.groups()
            return name.strip(), (int(red), int(green), int(blue))
    return text, None


def _from_hex(digits: str) -> Color:
    red, green, blue = bytes.fromhex(digits if len(digits) == 6 else "".join(d * 2 for d in digits))
    return red, green, blue


def _check_numbering(lines: Sequence[Line], where: str) -> None:
    """Refuses lists like `2 sky`, `1 sea`, whose numbers may be values or parts of the names."""
    if any(line.values for line in lines):
        return
    numbers = [re.match(r"(\d+)(?:\s*[-=]>\s*|[\s:;,.)]+)\S", line.name) for line in lines]
    matches = [match for match in numbers if match]
    found = [int(match.group(1)) for match in matches]
    if len(lines) > 1 and len(matches) == len(lines) and len(set(found)) == len(found):
        text = lines[0].text
        raise ValueError(
            f"every line of {where} begins with a number, such as {text!r}, and whether it is the "
            f"masks' value cannot be known, expected `name` or `name = value`: write "
            f"`{lines[0].name[matches[0].end() - 1 :]} = {found[0]}` if it is, else leave it out"
        )


def _check_name(line: Line, where: str) -> None:
    """Refuses names that hold what was meant for a color or a value."""
    if line.name.lower() in (IGNORED, _LABELME_IGNORED) and not line.is_ignored:
        raise ValueError(
            f"the line {line.text!r} of {where} does not say which pixels are ignored, expected "
            "`ignored = 255` or `ignored red green blue`: add the number or the color, or, if it "
            "is a class, give it another name"
        )
    if _UNREAD.fullmatch(line.name):
        raise _unreadable(line.text, where)


def _check_opacity(line: Line, lines: Sequence[Line], where: str) -> None:
    """Refuses `red 255 0 0 255`, unless the first number is one of the name, as in `class 3`."""
    match = re.fullmatch(r"(.*\S)[\s,;:]+\d+", line.name)
    four_numbers = match and re.search(r"\d+[\s,;]+\d+[\s,;]+\d+[\s,;]+255$", line.text)
    if match is None or not four_numbers:
        return
    head = match.group(1)
    numbered = [other for other in lines if re.fullmatch(rf"{re.escape(head)}\s+\d+", other.name)]
    if len(numbered) > 1 or head.lower() in ("class", "color", "label"):
        return
    raise ValueError(
        f"the line {line.text!r} of {where} has four numbers, the last of which may be an opacity, "
        "expected three, `name red green blue`: leave the fourth out, or, if the first belongs to "
        "the name, write the color as `name #rrggbb`"
    )


def _unreadable(text: str, where: str) -> ValueError:
    return ValueError(
        f"the line {text!r} of {where} cannot be read, expected `name`, `name red green blue`, "
        "`name = value` or `name red green blue = value`, with whole numbers: correct it"
    )
