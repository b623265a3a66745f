"""Colours of classes: drawn up for any number of them, or by the rule of PASCAL VOC."""

import colorsys

Colour = tuple[int, int, int]

# Okabe and Ito's, which the colour-blind tell apart too, the vivid ones first.
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


def distinct(classes: int) -> tuple[Colour, ...]:
    """Colours for this many classes, all different; the first ones do not depend on how many."""
    further = (_further(number) for number in range(classes - len(_FIRST)))
    return (*_FIRST[:classes], *further)


def bits(classes: int) -> tuple[Colour, ...]:
    """PASCAL VOC's colours: a class number's bits, three at a time, from each channel's top down.

    Bit 0 of the number is the top bit of red, bit 1 of green and bit 2 of blue; bits 3 to 5 are
    the second ones, and so on.
    """
    return tuple(_spread(number) for number in range(classes))


def _spread(number: int) -> Colour:
    red, green, blue = (
        sum(((number >> (3 * place + channel)) & 1) << (7 - place) for place in range(3))
        for channel in range(3)
    )
    return red, green, blue


def _further(number: int) -> Colour:
    saturation, value = _TONES[number % len(_TONES)]
    colour = colorsys.hsv_to_rgb(number * _GOLDEN % 1, saturation, value)
    red, green, blue = (round(255 * part) for part in colour)
    return red, green, blue
