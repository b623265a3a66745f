"""Colors of classes: made up for any number of them, or by the rule of PASCAL VOC."""

import colorsys

from jaxseg.data.info import Color

# Okabe and Ito's, which the color-blind tell apart too, the vivid ones first.
_FIRST = (
    (86, 180, 233),
    (213, 94, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
)
BACKGROUND = (68, 68, 78)
_GOLDEN = 0.618033988749895  # hues a golden section of the circle apart come near late
_TONES = ((0.75, 0.95), (0.45, 0.95), (0.9, 0.65), (0.45, 0.6))  # saturation and value, in turn


def distinct(classes: int) -> tuple[Color, ...]:
    """Colors for some classes, all different.

    Args:
        classes: Number of colors. The first ones are the same for any number.
    """
    further = (_further(number) for number in range(classes - len(_FIRST)))
    return (*_FIRST[:classes], *further)


def with_background(classes: int) -> tuple[Color, ...]:
    """Colors for some classes, all different, of which the first is dark.

    Args:
        classes: Number of colors, the dark one included.
    """
    return (BACKGROUND, *distinct(classes - 1))


def voc_colormap(classes: int) -> tuple[Color, ...]:
    """Colors of the PASCAL VOC devkit.

    Bit 0 of a class number is the top bit of red, bit 1 of green and bit 2 of blue; bits 3 to 5
    are the second ones, and so on.

    Args:
        classes: Number of colors.

    Example:
        >>> voc_colormap(4)
        ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    """
    return tuple(_voc_color(number) for number in range(classes))


def _voc_color(number: int) -> Color:
    red, green, blue = (
        sum(((number >> (3 * place + channel)) & 1) << (7 - place) for place in range(3))
        for channel in range(3)
    )
    return red, green, blue


def _further(number: int) -> Color:
    saturation, value = _TONES[number % len(_TONES)]
    color = colorsys.hsv_to_rgb(number * _GOLDEN % 1, saturation, value)
    red, green, blue = (round(255 * part) for part in color)
    return red, green, blue
