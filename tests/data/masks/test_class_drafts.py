"""A drafted list of classes settles what the masks mean, without a further edit."""

import numpy as np
import pytest

from jaxseg.data.masks import class_lists
from jaxseg.data.masks.class_drafts import draft_classes
from jaxseg.data.masks.mask_labels import assign_labels
from jaxseg.data.masks.mask_survey import MaskSurvey
from jaxseg.data.masks.mask_values import pack_color
from jaxseg.data.masks.stored_masks import StoredMask

RED, GREEN, BLACK, GRAY, WHITE = (200, 0, 0), (0, 200, 0), (0, 0, 0), (99,) * 3, (255,) * 3


def mask(*values, palette=None, colors=None):
    if colors is not None:
        values = pack_color(np.array(colors)).tolist()
    pixels = np.repeat(values, 480 // len(values)).reshape(-1, 24)
    if palette is not None:
        return StoredMask(pixels, "palette", pack_color(np.array(palette)), 8, "PNG")
    return StoredMask(pixels, "color" if colors else "gray", None, 16, "PNG")


def stray(*values, value):
    drawn = mask(*values)
    drawn.values[0, 0] = value
    return drawn


def smooth():
    ramp = np.clip(np.arange(24)[:, None] + np.arange(24) - 20, 0, 5) / 5
    return StoredMask(np.round(255 * ramp).astype(np.uint8), "gray", None, 8, "PNG")


def noisy():
    drawn = mask(*[0] * 9, 255)
    drawn.values[::7, ::6], drawn.values[-1, ::6] = 2, 253
    return drawn


CASES = {
    "noisy": ([noisy()] * 3, "background = 0-127, foreground = 128-255"),
    "numbers": ([mask(0, 1, 2)], "class 0 = 0, class 1 = 1, class 2 = 2"),
    "binary": ([mask(0, 255)], "background = 0, foreground = 255"),
    "ignored": ([mask(0, 1, 255)], "class 0 = 0, class 1 = 1, ignored = 255"),
    "mixture": ([mask(0, 1), mask(0, 255)], "background = 0, foreground = 1, 255"),
    "levels": ([mask(0, 128, 255)], "class 0 = 0, class 128 = 128, class 255 = 255"),
    "stray": (
        [stray(0, 255, value=254), *[mask(0, 255)] * 9],
        "background = 0, foreground = 255, ignored = 254",
    ),
    "16 bits": ([mask(0, 1, 65535)], "class 0 = 0, class 1 = 1, ignored = 65535"),
    "negative": ([mask(-1, 0, 300)], "class 0 = 0, class 300 = 300, ignored = -1"),
    "objects": (
        [mask(0, 1), mask(0, 1, 2, 3), mask(*range(8))],
        "background = 0, object = 1-65535",
    ),
    "no data": (
        [mask(0, 1, 9)._replace(no_data=9), mask(0, 1)],
        "class 0 = 0, class 1 = 1, ignored = 9",
    ),
    "no data of colors": (
        [mask(colors=[BLACK, RED, WHITE])._replace(no_data=0xFFFFFF)],
        "background 0 0 0, color 2 200 0 0, ignored 255 255 255",
    ),
    "smooth": ([smooth()], "background = 0-127, foreground = 128-255"),
    "many": ([mask(*range(80))], "background = 0-39, foreground = 40-79"),
    "palette": ([mask(0, 1, palette=[RED, GREEN])], "class 0 200 0 0 = 0, class 1 0 200 0 = 1"),
    "gray palette": (
        [mask(0, 1, 2, palette=[BLACK, GRAY, WHITE])],
        "background 0 0 0, color 2 99 99 99, color 3 255 255 255",
    ),
    "palettes": (
        [mask(0, 1, palette=[RED, GREEN]), mask(0, 1, palette=[GREEN, RED])],
        "color 1 0 200 0, color 2 200 0 0",
    ),
    "palette and color": (
        [mask(0, 1, palette=[RED, GREEN]), mask(colors=[BLACK, GREEN])],
        "color 1 0 200 0, background 0 0 0, color 3 200 0 0",
    ),
    "one color twice": (
        [mask(0, 1, 2, palette=[RED, GREEN, RED])],
        "class 0 = 0, class 1 = 1, class 2 = 2",
    ),
}


def lines(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("name", CASES)
def test_a_draft_settles_every_folder(tmp_path, name):
    masks, expected = CASES[name]
    survey = MaskSurvey()
    for number, drawn in enumerate(masks):
        survey.add(drawn, f"m{number}.png")
    text = draft_classes(survey, None)
    assert ", ".join(lines(text)) == expected
    (tmp_path / "classes.txt").write_text(text)
    classes = assign_labels(survey, class_lists.read_classes(tmp_path / "classes.txt"))
    values = survey.by_color() if classes.colored else survey.by_number()
    assert set(values) <= set(classes.labels)


def test_names_are_kept_where_there_are_as_many():
    survey = MaskSurvey()
    survey.add(mask(0, 10, 20), "m.png")
    listed = class_lists.check_classes(("sky", "sea", "land"), None)
    assert lines(draft_classes(survey, listed)) == ["sky = 0", "sea = 10", "land = 20"]


def test_counts_stand_beside_the_lines_and_a_single_class_asks_for_others():
    survey = MaskSurvey()
    survey.add(mask(3), "m.png")
    text = draft_classes(survey, None)
    assert "# 480 pixels in 1 masks, first in m.png\nclass 3 = 3\n# Add a line for each" in text
