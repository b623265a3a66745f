"""Figures as they are printed: their width, the sizes of their texts, and numbers on log axes."""

import math
import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, Locator, NullFormatter, NullLocator

from jaxseg.plots.style import NEUTRAL

PAGE = 7.2
"""Width of a figure in inches at most: that of a page's text, at which 8 points can be read."""


def tidy(axes: Axes, *, size: float = 8.0) -> None:
    """Give axes the text sizes of a printed figure, and no frame above and to the right.

    Args:
        axes: The axes, their labels and title set.
        size: Size of the labels in points; the title's is larger, the ticks' smaller by a half.
    """
    axes.title.set_fontsize(size + 0.5)
    axes.xaxis.label.set_fontsize(size)
    axes.yaxis.label.set_fontsize(size)
    axes.tick_params(labelsize=size - 0.5)
    axes.spines[["top", "right"]].set_visible(False)


def headline(figure: Figure, text: str, *, size: float = 9.0) -> None:
    """Give a figure a title that is broken into lines of its width.

    Args:
        figure: The figure.
        text: The title; its own line breaks are kept.
        size: Size of the letters in points.
    """
    letters = int(figure.get_figwidth() * 72 / (0.52 * size))  # a letter is half as wide as high
    lines = [textwrap.fill(line, letters) for line in text.splitlines()]
    figure.suptitle("\n".join(lines), fontsize=size)


def class_key(
    palette: Sequence[tuple[int, int, int]], names: Sequence[str], *, ignored: bool = False
) -> list[Patch]:
    """Make the handles of a legend that names the colors of classes.

    Args:
        palette: A color a class, (red, green, blue) in 0..255.
        names: The classes' names.
        ignored: Name white too, for pixels that count nowhere.
    """
    edge = {"edgecolor": NEUTRAL, "linewidth": 0.5}
    handles = [
        Patch(facecolor=(red / 255, green / 255, blue / 255), label=name, **edge)
        for (red, green, blue), name in zip(palette, names, strict=True)
    ]
    return [*handles, Patch(facecolor="white", label="ignored", **edge)] if ignored else handles


class PlainLogLocator(Locator):
    """Ticks of a logarithmic axis at 1, 2, 5, 10, …, fewer where it spans more.

    An axis that spans less than a factor of ten has ticks too, unlike matplotlib's own.

    Args:
        most: Largest number of ticks.
    """

    STEPS = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))

    def __init__(self, most: int = 6):
        self.most = most

    def __call__(self) -> np.ndarray:
        """Return the ticks between the axis's limits."""
        low, high = self.axis.get_view_interval()  # type: ignore[union-attr]
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> np.ndarray:
        """Return the ticks between two positive numbers.

        Args:
            vmin: The lower one.
            vmax: The higher one.
        """
        low, high = sorted((vmin, vmax))
        if not 0 < low < high < math.inf:
            return np.array([])
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = np.array([])
        for steps in self.STEPS:
            every = np.array([step * 10.0**decade for decade in decades for step in steps])
            ticks = every[(every >= low * (1 - 1e-9)) & (every <= high * (1 + 1e-9))]
            if len(ticks) <= self.most:
                return ticks
        return ticks[:: math.ceil(len(ticks) / self.most)]


def plain_number(value: float) -> str:
    r"""Write a tick's number as people do: 0.6 and 2000, and a power of ten far from 1.

    >>> plain_number(0.6), plain_number(2000.0), plain_number(1e-05), plain_number(2e6)
    ('0.6', '2000', '$10^{-5}$', '$2\\times10^{6}$')
    """
    if 1e-3 <= abs(value) < 1e5 or value == 0:
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    factor = value / 10.0**exponent
    return rf"${factor:g}\times10^{{{exponent}}}$".replace(r"$1\times", "$")


def plain_log_scale(axes: Axes, axis: Literal["x", "y"] = "y", *, most: int = 6) -> None:
    """Make an axis logarithmic, with ticks that are labeled 0.6 and not 6×10⁻¹.

    Args:
        axes: The axes.
        axis: Which of the two.
        most: Largest number of ticks.
    """
    axes.set(**{f"{axis}scale": "log"})
    plain_log_ticks(axes.xaxis if axis == "x" else axes.yaxis, most=most)


def plain_log_ticks(axis: Axis, *, most: int = 6) -> None:
    """Label the ticks of a logarithmic axis, such as a color bar's, likewise.

    Args:
        axis: The axis.
        most: Largest number of ticks.
    """
    axis.set_major_locator(PlainLogLocator(most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
