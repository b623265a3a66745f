"""Whether the texts of a figure can be read: none on another, and none off the page."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

SLACK = 0.75
"""Pixels at 100 dots an inch by which texts may touch, or reach over the edge."""


class Placed(NamedTuple):
    """A text as it was drawn.

    Attributes:
        text: The text.
        corners: (4, 2) corners of the rectangle around it, in pixels.
    """

    text: str
    corners: np.ndarray


def placed_texts(figure: Figure) -> list[Placed]:
    """Draw a figure; return the texts that were drawn, ticks outside of the axes left out."""
    figure.set_dpi(100)
    canvas = FigureCanvasAgg(figure)
    drawn: list[Text] = []
    draw = Text.draw

    def record(self, renderer, *args, **options):
        if self.get_visible() and self.get_text().strip():
            drawn.append(self)
        return draw(self, renderer, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", record)
        canvas.draw()
    # The layout draws more than once; the last place of a text counts.
    texts = list({id(text): text for text in drawn}.values())
    return [Placed(text.get_text(), _corners(text, canvas.get_renderer())) for text in texts]


def _corners(text: Text, renderer) -> np.ndarray:
    """Find the corners of a text, turned as it is: its extent is that of a rectangle upright."""
    upright = text.get_window_extent(renderer)
    angle = text.get_rotation()
    text.set_rotation(0)
    flat = text.get_window_extent(renderer)
    text.set_rotation(angle)
    middle = np.array([upright.x0 + upright.x1, upright.y0 + upright.y1]) / 2
    half = np.array([flat.width, flat.height]) / 2
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return middle + (signs * half) @ np.array([[cosine, sine], [-sine, cosine]])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Give how far two rectangles must be moved to part, in pixels; negative if they are apart."""
    depths = []
    for corners in (a, b):
        for edge in (corners[1] - corners[0], corners[3] - corners[0]):
            axis = edge / (np.linalg.norm(edge) or 1)
            one, two = a @ axis, b @ axis
            depths.append(min(one.max() - two.min(), two.max() - one.min()))
    return min(depths)


def unreadable(figure: Figure) -> list[str]:
    """Name the pairs of texts that lie on each other, and the texts that leave the page."""
    texts = placed_texts(figure)
    page = np.array([figure.bbox.width, figure.bbox.height])
    off = [
        f"{text!r} is off the page"
        for text, corners in texts
        if np.any(corners < -SLACK) or np.any(corners > page + SLACK)
    ]
    on = [
        f"{a.text!r} lies on {b.text!r}"
        for a, b in itertools.combinations(texts, 2)
        if overlap(a.corners, b.corners) > SLACK
    ]
    return off + on
