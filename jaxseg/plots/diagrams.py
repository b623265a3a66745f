"""Diagrams of blocks and nets: boxes, arrows and sums, drawn from their parameters."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

LAYER = "#d6e6f4"
ACTIVATION = "#fbe3cc"
MAP = "#eeeeee"
INK = "#333333"
SHORTCUT = "#b21f26"
Point = tuple[float, float]


def residual_blocks() -> Figure:
    """Draw three residual blocks: post-activation, pre-activation, and one with a projection."""
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    columns = {
        "post-activation": (["conv 3 × 3", "norm", "ReLU", "conv 3 × 3", "norm"], "", True),
        "pre-activation": (["norm", "ReLU", "conv 3 × 3", "norm", "ReLU", "conv 3 × 3"], "", False),
        "projection": (
            ["norm", "ReLU", "conv 3 × 3\nstride 2", "norm", "ReLU", "conv 3 × 3"],
            "conv 1 × 1\nstride 2",
            False,
        ),
    }
    for axes, (name, column) in zip(figure.subplots(1, 3), columns.items(), strict=True):
        _residual_block(axes, *column)
        axes.set_title(name, fontsize=10)
    return figure


def _residual_block(axes: Axes, layers: Sequence[str], projection: str, relu_behind: bool) -> None:
    """Draw a branch from top to bottom, its shortcut at the right, and their sum."""
    heights = np.linspace(0.82, 0.3, len(layers))
    _arrow(axes, (0.35, 1.0), (0.35, heights[0] + 0.04))
    axes.text(0.29, 0.97, "$x_l$", ha="right", va="center", fontsize=11)
    for name, height in zip(layers, heights, strict=True):
        tall = 0.08 if "\n" in name else 0.06
        _box(axes, (0.35, height), name, width=0.42, height=tall, fontsize=8)
    for upper, lower in itertools.pairwise(heights):
        _arrow(axes, (0.35, upper - 0.038), (0.35, lower + 0.038))
    _arrow(axes, (0.35, heights[-1] - 0.038), (0.35, 0.22))
    _sum(axes, (0.35, 0.19))
    end = 0.05 if relu_behind else 0.02
    if relu_behind:
        _arrow(axes, (0.35, 0.16), (0.35, 0.115))
        _box(axes, (0.35, 0.08), "ReLU", width=0.42, height=0.07)
    _arrow(axes, (0.35, 0.045 if relu_behind else 0.16), (0.35, end - 0.05))
    axes.text(0.29, -0.01, "$x_{l+1}$", ha="right", va="center", fontsize=11)
    axes.plot(
        [0.35, 0.82, 0.82, 0.40], [0.93, 0.93, 0.19, 0.19], color=SHORTCUT, linewidth=1.6, zorder=1
    )
    _arrow(axes, (0.45, 0.19), (0.385, 0.19), color=SHORTCUT)
    if projection:
        _box(axes, (0.82, 0.56), projection, width=0.32, height=0.12)
    else:
        axes.text(0.85, 0.56, "identity", rotation=90, va="center", color=SHORTCUT, fontsize=9)
    _frame(axes, (0.05, 1.02), (-0.06, 1.02))


def plain_and_residual(blocks: int = 3) -> Figure:
    """Draw a plain chain of blocks above the same blocks with shortcuts.

    Args:
        blocks: Number of blocks.
    """
    figure = Figure(figsize=(8.0, 2.7), layout="constrained")
    axes = figure.subplots()
    step = 2.2
    for row, (name, residual) in enumerate((("plain", False), ("residual", True))):
        y = -1.5 * row
        axes.text(-0.2, y, name, ha="right", va="center", fontsize=10)
        _arrow(axes, (0, y), (0.62, y))
        axes.text(0.0, y + 0.13, "$x_0$", fontsize=10)
        for block in range(blocks):
            x = step * block + 1.05
            _box(axes, (x, y), f"$F_{block}$", width=0.85, height=0.5)
            end = step * (block + 1)
            _arrow(axes, (x + 0.43, y), (end - (0.13 if residual else -0.62), y))
            if residual:
                _sum(axes, (end, y), radius=7)
                _arrow(axes, (end + 0.13, y), (end + 0.62, y))
                _arc(axes, (step * block + 0.22, y), (end, y + 0.13), 0.62)
            axes.text(end + 0.3, y + 0.13, f"$x_{block + 1}$", fontsize=10)
    _frame(axes, (-1.2, step * blocks + 0.9), (-2.0, 0.6))
    return figure


def u_net(size: int, widths: Sequence[int]) -> Figure:
    """Draw a U-Net: the maps of its levels, with sizes, and its long skips.

    Args:
        size: Height and width of the image, which the net halves from level to level.
        widths: Features of each level, the finest first.
    """
    figure = Figure(figsize=(8.0, 1.0 + 0.95 * len(widths)), layout="constrained")
    axes = figure.subplots()
    lowest = len(widths) - 1
    left = 0.9 * np.arange(lowest + 1)
    right = 3.8 * lowest + 1.6 - left - 0.9 * lowest
    left[-1] = right[-1] = (left[-1] + right[-1]) / 2
    for level, features in enumerate(widths):
        side = size // 2**level
        for x in {left[level], right[level]}:
            label = f"{side} × {side}\n{features} features"
            _box(axes, (x, -level), label, width=1.65, height=0.5, color=MAP)
        if level < lowest:
            _arrow(
                axes, (left[level] + 0.83, -level), (right[level] - 0.83, -level), color=SHORTCUT
            )
            _arrow(axes, (left[level], -level - 0.26), (left[level + 1] - 0.2, -level - 0.74))
            _arrow(axes, (right[level + 1] + 0.2, -level - 0.74), (right[level], -level - 0.26))
    end = right[0]
    _arrow(axes, (-1.4, 0), (-0.83, 0))
    _arrow(axes, (end + 0.83, 0), (end + 1.4, 0))
    for x, y, text, align, color in (
        (end / 2, 0.08, "long skip", "center", SHORTCUT),
        (-0.1, -0.62, "halve", "right", INK),
        (end + 0.1, -0.62, "upconvolve", "left", INK),
        (-1.45, -0.04, "image", "right", INK),
        (end + 1.45, -0.04, "scores", "left", INK),
    ):
        axes.text(x, y, text, fontsize=9, ha=align, color=color)
    _frame(axes, (-2.1, end + 2.1), (-lowest - 0.6, 0.4))
    return figure


def aspp(rates: Sequence[int], features: int = 256) -> Figure:
    """Draw atrous spatial pyramid pooling: parallel branches, joined and projected.

    Args:
        rates: Dilations of the 3 × 3 branches.
        features: Features of each branch and of the result.
    """
    branches = ["conv 1 × 1", *(f"conv 3 × 3, rate {rate}" for rate in rates)]
    branches.append("mean of the map → conv 1 × 1")
    figure = Figure(figsize=(8.0, 0.7 + 0.5 * len(branches)), layout="constrained")
    axes = figure.subplots()
    middle = (len(branches) - 1) / 2
    _box(axes, (0, -middle), "map", width=0.8, height=0.7, color=MAP)
    for row, name in enumerate(branches):
        _arrow(axes, (0.42, -middle), (1.18, -row))
        _box(axes, (2.7, -row), name, width=3.0, height=0.62)
        _arrow(axes, (4.22, -row), (5.0, -middle + 0.5 * (middle - row) / max(middle, 1)))
    joined = len(branches) * features
    _box(axes, (5.75, -middle), f"concatenate\n{joined:,} features", width=1.5, height=1.2)
    _arrow(axes, (6.52, -middle), (7.0, -middle))
    _box(axes, (7.75, -middle), f"conv 1 × 1\n{features} features", width=1.45, height=1.2)
    _frame(axes, (-0.6, 8.6), (0.6 - len(branches), 0.5))
    return figure


def _box(
    axes: Axes,
    center: Point,
    text: str,
    *,
    width: float,
    height: float,
    color: str | None = None,
    fontsize: float = 9,
) -> None:
    """Draw a rounded box with a text; activations and norms have a color of their own."""
    if color is None:
        color = ACTIVATION if text in ("ReLU", "norm") else LAYER
    axes.add_patch(
        FancyBboxPatch(
            (center[0] - width / 2, center[1] - height / 2),
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={0.12 * height}",
            facecolor=color,
            edgecolor=INK,
            linewidth=0.8,
            zorder=2,
        )
    )
    axes.text(*center, text, ha="center", va="center", fontsize=fontsize, zorder=3)


def _arrow(axes: Axes, start: Point, end: Point, *, color: str = INK) -> None:
    style = {"arrowstyle": "-|>", "color": color, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=style)


def _arc(axes: Axes, start: Point, end: Point, height: float) -> None:
    """Draw a shortcut above a block: up, along, and down with an arrow."""
    top = start[1] + height
    axes.plot([start[0], start[0], end[0]], [start[1], top, top], color=SHORTCUT, linewidth=1.6)
    _arrow(axes, (end[0], top), end, color=SHORTCUT)


def _sum(axes: Axes, center: Point, *, radius: float = 8) -> None:
    axes.plot(*center, "o", markersize=2 * radius, color="white", markeredgecolor=INK, zorder=3)
    axes.text(*center, "+", ha="center", va="center", fontsize=12, zorder=4)


def _frame(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    axes.set(xlim=x, ylim=y)
    axes.axis("off")
