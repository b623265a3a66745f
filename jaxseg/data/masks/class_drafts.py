"""Drafts a list of classes from what masks hold, for the user to edit."""

from collections.abc import Iterator, Mapping, Sequence

from jaxseg.data.masks import mask_doubts
from jaxseg.data.masks.class_lists import SYNTAX, ClassList
from jaxseg.data.masks.mask_labels import is_binary
from jaxseg.data.masks.mask_survey import MaskSurvey, Tally
from jaxseg.data.masks.mask_values import IGNORE_INDEX, unpack_color

_MOST_LINES = 64
_LEAST_SHARE = 1e-3
_MOST_16_BITS = 65535


def draft_classes(survey: MaskSurvey, classes: ClassList | None) -> str:
    """Writes a list of classes that every value of the masks is in.

    Args:
        survey: What all masks hold.
        classes: The user's present list, whose names are kept where there are as many, or None.

    Returns:
        The text of a file that `class_lists.read_classes` reads, with counts as comments.
    """
    body = list(_colors(survey) if _needs_colors(survey) else _numbers(survey, classes))
    head = [
        "Drafted from the masks: name the classes, in the order that their labels shall have,",
        "and correct what is wrong.",
        "",
        *SYNTAX.splitlines(),
        "",
    ]
    return "\n".join([*(f"# {line}".rstrip() for line in head), *body, ""])


def _needs_colors(survey: MaskSurvey) -> bool:
    if any(entry.number is None for entry in survey.entries):
        return True
    colors = [entry.color for entry in survey.entries]
    numbers = [entry.number for entry in survey.entries]
    try:
        mask_doubts.check_palettes(survey)
    except ValueError:  # matched by color they may agree, unless one of them has a color twice
        return None not in colors and len(set(colors)) >= len(set(numbers))
    return False


def _colors(survey: MaskSurvey) -> Iterator[str]:
    tallies = sorted(survey.by_color().items(), key=lambda item: -item[1].pixels)
    few = len(tallies) > _MOST_LINES
    kept = [
        (color, tally)
        for color, tally in tallies
        if not few or tally.pixels >= _LEAST_SHARE * survey.pixels
    ][:_MOST_LINES]
    for place, (color, tally) in enumerate(kept):
        parts = " ".join(map(str, unpack_color(color)))
        name = "background" if color == 0 else f"color {place + 1}"
        if any(entry.color == color for entry in survey.no_data):
            name = "ignored"
        yield from (_comment(tally), f"{name} {parts}")
    if len(kept) < len(tallies):
        yield (
            f"# {len(tallies) - len(kept)} further colors of few pixels are left out: smooth edges "
            "or a lossy format make such; export the masks without"
        )


def _numbers(survey: MaskSurvey, classes: ClassList | None) -> Iterator[str]:
    tallies = survey.by_number()
    present = list(tallies)
    if mask_doubts.are_objects(survey):
        yield "# every mask numbers its objects from 1, and here all of them are one class"
        yield from ("background = 0", f"object = 1-{_MOST_16_BITS}")
        return
    if len(present) > _MOST_LINES or _is_continuous(survey, tallies, present):
        yield from _halves(tallies, present)
        return
    declared = {entry.number for entry in survey.no_data}
    undeclared = [value for value in present if value not in declared]
    found = _ignored(survey, tallies, undeclared)
    ignored = [value for value in present if value in declared or value in found]
    values = [value for value in present if value not in ignored]
    groups: list[tuple[int, ...]] = [(value,) for value in values]
    if IGNORE_INDEX in values and values[:2] == [0, 1] and len(values) == 3:
        groups = [(0,), (1, IGNORE_INDEX)]  # masks of 0 and 1 among masks of 0 and 255
    names = _names(groups, classes)
    colors = _palette_colors(survey)
    for name, group in zip(names, groups, strict=True):
        yield from (_comment(tallies[value]) for value in group)
        parts = "".join(f" {part}" for part in colors.get(group[0], ()))
        yield f"{name}{parts} = {', '.join(map(str, group))}"
    if len(groups) < 2:
        yield "# Add a line for each further class, with the value that its pixels will have."
    for value in ignored:
        yield from (_comment(tallies[value]), f"ignored = {value}")


def _names(groups: Sequence[tuple[int, ...]], classes: ClassList | None) -> Sequence[str]:
    if classes is not None and len(classes.names) == len(groups):
        return classes.names
    values = [group[0] for group in groups]
    merged = len(groups) == 2 and len(groups[1]) > 1
    if merged or is_binary(values):
        return ("background", "foreground")
    return [f"class {value}" for value in values]


def _ignored(survey: MaskSurvey, tallies: Mapping[int, Tally], present: list[int]) -> list[int]:
    """The numbers that are drafted as ignored: stray ones, and those that by convention are."""
    stray = mask_doubts.find_rare(survey, tallies, present)
    rest = [value for value in present if value not in stray]
    if is_binary(rest) or len(rest) < 3:
        return stray
    others = [value for value in rest if 0 <= value != IGNORE_INDEX]
    is_level = 0 in others and max(others) >= mask_doubts.GRAY_LEVELS
    is_mixture = survey.binary_255.masks > 0 and survey.mixed_255.masks == 0
    void = {value for value in rest if value < 0}
    if not is_level and not (is_mixture and rest == [0, 1, IGNORE_INDEX]):
        void.add(IGNORE_INDEX)
    if max(others) == _MOST_16_BITS:
        void.add(_MOST_16_BITS)
    return [value for value in present if value in stray or value in void]


def _halves(tallies: Mapping[int, Tally], present: Sequence[int]) -> Iterator[str]:
    """Lines that part the values in the middle, as for two classes with smooth edges."""
    middle = (present[0] + present[-1]) // 2
    yield f"# {len(present)} values, such as smooth edges have; if the masks hold more than two"
    yield "# classes, export them without anti-aliasing."
    for name, low, high in (
        ("background", present[0], middle),
        ("foreground", middle + 1, present[-1]),
    ):
        pixels = sum(tallies[value].pixels for value in present if low <= value <= high)
        yield f"# {pixels} pixels"
        yield f"{name} = {low}-{high}"


def _palette_colors(survey: MaskSurvey) -> dict[int, tuple[int, int, int]]:
    """The color of each number, where palettes show one and all colors are different."""
    colors = {
        entry.number: unpack_color(entry.color)
        for entry in survey.entries
        if entry.kind == "palette" and entry.number is not None and entry.color is not None
    }
    complete = set(colors) == {entry.number for entry in survey.entries}
    return colors if complete and len(set(colors.values())) == len(colors) else {}


def _is_continuous(
    survey: MaskSurvey, tallies: Mapping[int, Tally], present: Sequence[int]
) -> bool:
    """Returns whether the values look like those of smooth edges or of a lossy format."""
    stray = mask_doubts.find_rare(survey, tallies, present)
    values = [value for value in present if value not in stray]
    if len(values) < 3 or mask_doubts.are_class_numbers(values):
        return False
    return bool(mask_doubts.find_smooth(tallies, values) or mask_doubts.find_noise(tallies, values))


def _comment(tally: Tally) -> str:
    return f"# {tally.pixels} pixels in {tally.masks} masks, first in {tally.file}"
