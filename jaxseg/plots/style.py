"""Colors and axes that figures share."""

import math

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullLocator

NEUTRAL = "#555555"
"""Gray, for what has no color of its own."""
CYCLE = ("#b21f26", "#f28814", "#9778dd", "#155086", "#56a698")
"""Colors for lines, in the order of use; the color-blind can tell any two apart."""
MEASURED = "#155086"
"""Color of what was measured."""
THEORY = "#e4572e"
"""Color of what theory says, drawn dashed, and of what is marked."""
GHOST = "#c4c4c4"
"""Color of the curve that a figure showed before."""


def plain_axes(axes: Axes, *sides: str) -> None:
    """Hide the frame's upper and right side, and those named besides.

    Args:
        axes: The axes.
        *sides: Further sides, of "left" and "bottom".
    """
    axes.spines[["top", "right", *sides]].set_visible(False)


def decimal_ticks(axis: Axis) -> None:
    """Label a log axis with decimals (0.5, 1, 2) where it spans less than two powers of ten.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`, with everything plotted.
    """
    low, high = axis.get_view_interval()
    if high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5) if high > 3 * low else range(1, 10)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")


def steady_limits(low: float, high: float, *, least: float) -> tuple[float, float]:
    """Round limits away from zero, to `least` times a power of two, so that they change rarely.

    Args:
        low: Smallest value to be shown.
        high: Largest value to be shown.
        least: Smallest size of either limit, positive.

    Returns:
        The lower limit, negative, and the upper one.

    Example:
        >>> steady_limits(-0.4, 11.0, least=3.0)
        (-3.0, 12.0)
    """

    def outward(size: float) -> float:
        return least * 2 ** max(0, math.ceil(math.log2(max(size, least) / least)))

    return -outward(-low), outward(high)
