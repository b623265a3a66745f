"""Refuses masks whose numbers leave open what they mean, with counts and a file."""

from collections.abc import Iterable, Mapping, Sequence

from jaxseg.data.masks.mask_survey import MaskSurvey, Tally
from jaxseg.data.masks.mask_values import IGNORE_INDEX, list_values, show_value

REMEDY = (
    "say in classes.txt what each value is, in lines of `name = value` and `ignored = value` "
    "(jaxseg inspect --write-classes drafts them)"
)
OBJECTS = (
    "take all objects for one class by the lines `background = 0` and `object = 1-65535` in "
    "classes.txt (jaxseg inspect --write-classes drafts them)"
)
GRAY_LEVELS = 64
"""Class numbers seldom go so far; levels of gray do."""
_CLASS_NUMBERS = 34  # VOC goes to 20, Cityscapes to 33; the grays of colors begin at 38
_MOST_16_BITS = 65535
_RARE_SHARE = 1e-3  # a stray value has fewer of all pixels, and ...
_RARE_PIXELS = 16  # ... in the masks that have it fewer than so many on average, ...
_RARE_MASK_SHARE = 1e-4  # ... or than such a share of a mask where that is more
_OBJECTS = 5  # so many numbers, and ...
_MANY_OBJECTS = 12  # likewise, where there are gaps between them
_DIFFERENT_RUNS = 3  # ... so different ones from mask to mask, count objects rather than classes
_NEAR = 4  # compression moves values by so much
_NEAR_SHARE = 0.05


def check_palettes(survey: MaskSurvey) -> None:
    """Checks that palettes agree with one another, as no colors are listed to match them by.

    Args:
        survey: What all masks hold.

    Raises:
        ValueError: A number has two colors or a color two numbers, or the palettes are of grays
            that may be the numbers that are meant.
    """
    _check_gray_palettes(survey)
    color_of: dict[int, tuple[int, str]] = {}
    number_of: dict[int, tuple[int, str, bool]] = {}
    for entry, tally in survey.entries.items():
        number, color, is_palette = entry.number, entry.color, entry.kind == "palette"
        if number is None or color is None:
            continue
        other, file = color_of.get(number, (color, ""))
        if is_palette and other != color:
            raise _palettes_differ(
                f"the number {number} is {show_value(other, colored=True)} in the palette of "
                f"{file!r} and {show_value(color, colored=True)} in that of {tally.file!r}"
            )
        if is_palette:
            color_of[number] = (color, tally.file)
        other, file, was_palette = number_of.get(color, (number, "", False))
        if (is_palette or was_palette) and other != number:
            raise _palettes_differ(
                f"the color {show_value(color, colored=True)} is the number {other} in {file!r} "
                f"and {number} in {tally.file!r}"
            )
        number_of[color] = (number, tally.file, is_palette or was_palette)


def _check_gray_palettes(survey: MaskSurvey) -> None:
    """Refuses palettes of grays: the numbers may be the indices or the grays."""
    entries = [entry for entry in survey.entries if entry.kind == "palette"]
    colors = [-1 if entry.color is None else entry.color for entry in entries]
    if not colors or any(color < 0 or color != (color & 255) * 0x010101 for color in colors):
        return
    grays = {entry.number: color & 255 for entry, color in zip(entries, colors, strict=True)}
    different = {number: gray for number, gray in grays.items() if number != gray}
    if not different or set(grays.items()) <= {(0, 0), (1, 255)}:  # both readings say the same
        return
    number, gray = next(iter(different.items()))
    file = next(tally.file for entry, tally in survey.entries.items() if entry.number == number)
    raise _palettes_differ(
        f"{file!r} holds the number {number} and shows it as the gray {gray}, and which of them "
        "is the class cannot be known"
    )


def _palettes_differ(found: str) -> ValueError:
    return ValueError(
        f"{found}; expected one palette, of colors, in all masks: list the colors in classes.txt, "
        "in lines of `name red green blue`, or the numbers in lines of `name = value` (jaxseg "
        "inspect --write-classes drafts them)"
    )


def check_255(survey: MaskSurvey, present: Sequence[int], names: Sequence[str] | None) -> None:
    """Checks that 255 means ignored pixels, where it is not the only value beside 0.

    Args:
        survey: What all masks hold.
        present: The numbers that no list says to ignore, in ascending order.
        names: The names of the classes, or None.

    Raises:
        ValueError: 255 may as well be a class.
    """
    tallies = survey.by_number()
    if IGNORE_INDEX not in present:
        return
    values = [value for value in present if value != IGNORE_INDEX]
    tally = tallies[IGNORE_INDEX]
    counts = f"{count_pixels(tallies, present)}"
    if names is not None and values in ([], [0]):
        raise ValueError(
            f"the masks' only values are {list_values(present)} ({counts}), which do not fit the "
            f"{len(names)} classes listed, and 255 may be a class or ignored pixels: {REMEDY}"
        )
    if survey.binary_255.masks and not survey.mixed_255.masks and set(values) - {0}:
        other = next(tallies[value] for value in values if value != 0)
        raise ValueError(
            f"{survey.binary_255.masks} masks such as {survey.binary_255.file!r} hold 0 and 255 "
            f"only, as masks of one kind of object do, while others such as {other.file!r} hold "
            f"{list_values([value for value in values if value != 0])} ({counts}), so 255 may be "
            f"an object or ignored pixels: {REMEDY}"
        )
    levels = 0 in values and max(values) >= GRAY_LEVELS
    if levels and (names is None or len(names) != len(present)):
        raise ValueError(
            f"{tally.file!r} has 255 beside levels of gray ({counts}), so 255 may be a class or "
            f"ignored pixels: {REMEDY}"
        )


def check_unlisted(survey: MaskSurvey, present: Sequence[int]) -> None:
    """Checks that the numbers of masks without a list of classes look like classes.

    Args:
        survey: What all masks hold.
        present: The numbers, in ascending order.

    Raises:
        ValueError: Some look like smooth edges, noise, stray pixels or two ways of numbering.
    """
    tallies = survey.by_number()
    counts = count_pixels(tallies, present)
    values = [value for value in present if value != IGNORE_INDEX]
    smooth = find_smooth(tallies, present)
    if smooth:
        file = tallies[smooth[0]].file
        raise ValueError(
            f"{file!r} has values such as {list_values(smooth)} between others, along edges "
            f"({counts}): a smoothed mask has them, so export it without anti-aliasing; or, if "
            f"they are classes, {REMEDY}"
        )
    check_rare(survey, present)
    check_255(survey, present, None)
    if are_class_numbers(values):
        return
    doubtful = [v for v in present if v < 0 or v in (IGNORE_INDEX, _MOST_16_BITS)]
    near = find_noise(tallies, values)
    if doubtful or near:
        value = [*doubtful, *near][0]
        kind = "may be a class or ignored pixels" if doubtful else "may be noise around another"
        raise ValueError(
            f"{tallies[value].file!r} has the value {value}, which {kind}; the masks have "
            f"{counts}: {REMEDY}"
        )
    if survey.most_values <= 2 and len(values) > 2:
        raise ValueError(
            f"no mask has more than two values, and they differ: {tallies[values[1]].file!r} has "
            f"{values[1]}, {tallies[values[-1]].file!r} has {values[-1]} ({counts}), so they may "
            f"be one class or several: {REMEDY}"
        )


def are_objects(survey: MaskSurvey) -> bool:
    """Returns whether the numbers seem to count the objects of each mask.

    They are 1..n with an n of its own in each mask; or there are many of them, of which no mask has
    one in two places.

    Args:
        survey: What all masks hold.
    """
    runs = [run for run in survey.runs if run]
    if len(runs) < _DIFFERENT_RUNS or runs[-1] < _OBJECTS:
        return False
    return not survey.has_gaps or (not survey.has_parts and len(survey.by_number()) > _MANY_OBJECTS)


def check_objects(survey: MaskSurvey) -> None:
    """Checks that the numbers do not seem to count objects, since these are no classes.

    Args:
        survey: What all masks hold.

    Raises:
        ValueError: They do.
    """
    if not are_objects(survey):
        return
    runs, tallies = [run for run in survey.runs if run], survey.by_number()
    found = (
        f"no mask has one of the {len(tallies)} numbers in two places, and some have {runs[0]} of "
        f"them and others {runs[-1]}"
        if survey.has_gaps
        else f"every mask holds 1, 2, 3 and so on without a gap, some to {runs[0]} and others to "
        f"{runs[-1]}, such as {tallies[runs[-1]].file!r}"
    )
    raise ValueError(
        f"{found}, as in masks that number their objects, expected classes: {OBJECTS}; or, if they "
        "are classes, list them in lines of `name = value`"
    )


def check_rare(survey: MaskSurvey, present: Sequence[int]) -> None:
    """Checks that no number stands in a few stray pixels only.

    Args:
        survey: What all masks hold.
        present: The numbers that are to be classes, in ascending order.

    Raises:
        ValueError: One does.
    """
    tallies = survey.by_number()
    for value in find_rare(survey, tallies, present):
        tally = tallies[value]
        raise ValueError(
            f"{tally.file!r} has the value {value}, which occurs in {tally.pixels} pixels of "
            f"{tally.masks} of {survey.masks} masks and may be a slip ("
            f"{count_pixels(tallies, present)}): correct the mask, or {REMEDY}"
        )


def find_rare(
    survey: MaskSurvey, tallies: Mapping[int, Tally], present: Iterable[int]
) -> list[int]:
    """Returns the values that stand in a few stray pixels only.

    Args:
        survey: What all masks hold.
        tallies: The tally of every value.
        present: The values to be judged; 255 never is.
    """
    if len(tallies) <= 2:
        return []
    mask_pixels = survey.pixels / max(1, survey.masks)
    few = max(_RARE_PIXELS, _RARE_MASK_SHARE * mask_pixels)
    return [
        value
        for value in present
        if value != IGNORE_INDEX
        and tallies[value].pixels < _RARE_SHARE * survey.pixels
        and tallies[value].pixels < few * tallies[value].masks
    ]


def count_pixels(tallies: Mapping[int, Tally], present: Sequence[int]) -> str:
    """Returns the number of pixels of the first values, for a message.

    Args:
        tallies: The tally of every value.
        present: The values.
    """
    shown = [f"{value}: {tallies[value].pixels}" for value in present[:12]]
    return "pixels of " + ", ".join(shown) + (", …" if len(present) > 12 else "")


def find_smooth(tallies: Mapping[int, Tally], present: Sequence[int]) -> list[int]:
    """Returns the values most of whose pixels lie on ramps between two others.

    Args:
        tallies: The tally of every value.
        present: The values to be judged, in ascending order.
    """
    inner = present[1:-1]
    return [value for value in inner if 2 * tallies[value].ramp_pixels >= tallies[value].pixels]


def find_noise(tallies: Mapping[int, Tally], present: Sequence[int]) -> list[int]:
    """Returns the values that are few beside another one that is nearly the same.

    Args:
        tallies: The tally of every value.
        present: The values to be judged.
    """
    return [
        value
        for value in present
        for other in present
        if 0 < abs(value - other) <= _NEAR
        and tallies[value].pixels < _NEAR_SHARE * tallies[other].pixels
    ]


def are_class_numbers(values: Sequence[int]) -> bool:
    """Returns whether numbers are small or nearly without gaps, as class numbers are.

    Args:
        values: The numbers, in ascending order, without 255.
    """
    return values[0] >= 0 and values[-1] < max(_CLASS_NUMBERS, 2 * len(values) + 8)
