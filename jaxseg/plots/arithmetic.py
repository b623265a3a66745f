"""The arithmetic of convolutions, pixel by pixel: forward, dilated, and transposed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxseg.plots.style import THEORY

PIXEL = "#6baed6"
PADDING = "#e4e4e4"
TAP = "#2171b5"
EDGE = "#cccccc"
TAPS = ("#fde0c2", "#cfe3f3", "#d9cdf5", "#c9e7e1", "#f7cfd1", "#e9e4b8")
"""Fill of the cells that hold each tap of a kernel."""


def convolution(
    image: np.ndarray, output: np.ndarray, rows: Sequence[int], columns: Sequence[int]
) -> Figure:
    """Draw an image with the taps of one output pixel, beside the whole output on the same scale.

    Args:
        image: (height, width) in 0..1.
        output: (rows, columns); the middle pixel is marked.
        rows: Rows of the image that the middle output pixel reads; they may lie outside.
        columns: Its columns.
    """
    figure = Figure(figsize=(8.2, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    side = max(*image.shape, *output.shape)
    for axes, pixels in ((left, image), (right, output)):
        height, width = pixels.shape
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[0, width - 1], yticks=[0, height - 1])
        margin = (side - np.array([height, width])) / 2
        axes.set(
            xlim=(-0.5 - margin[1], width - 0.5 + margin[1]),
            ylim=(height - 0.5 + margin[0], -0.5 - margin[0]),
        )
    for row in rows:
        for column in columns:
            left.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=THEORY))
    row, column = (n // 2 for n in output.shape)
    right.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=THEORY))
    left.set_title(
        f"{image.shape[0]} × {image.shape[1]} pixels, and {len(rows) * len(columns)} taps",
        fontsize=10,
    )
    right.set_title(f"{output.shape[0]} × {output.shape[1]} pixels", fontsize=10)
    return figure


def kernel_on_pixels(
    pixels: int, padding: int, taps: np.ndarray, *, most_padding: int, title: str = ""
) -> Figure:
    """Draw an image's pixels with their padding, and the taps of a kernel at one position.

    Args:
        pixels: Side of the image.
        padding: Rings of zeros around it.
        taps: Rows of the padded image that hold taps; the columns are the same.
        most_padding: The frame has room for this much padding, so that the image keeps still.
        title: Title of the figure.
    """
    side = pixels + 2 * padding
    canvas = np.ones((side, side))  # 0 image, 1 padding, 2 taps
    canvas[padding : padding + pixels, padding : padding + pixels] = 0
    canvas[np.ix_(taps, taps)] = 2
    figure = Figure(figsize=(5.6, 5.9), layout="constrained")
    axes = figure.subplots()
    edges = np.arange(side + 1) - padding
    colors = ListedColormap(["white", PADDING, TAP])
    axes.pcolormesh(
        edges, edges, canvas, cmap=colors, vmin=0, vmax=2, edgecolors=EDGE, linewidth=0.5
    )
    limits = (-most_padding - 0.5, pixels + most_padding + 0.5)
    axes.set(aspect="equal", xticks=[], yticks=[], xlim=limits, ylim=limits)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=9)
    return figure


def dilated_input(
    pixels: np.ndarray, kernel: int, counts: np.ndarray, *, cells: int, titles: tuple[str, str]
) -> Figure:
    """Draw the dilated input of an upconvolution with its kernel, beside the overlap it makes.

    Args:
        pixels: (side, side) booleans: true for a pixel of the input, false for a zero.
        kernel: Taps along an axis; the kernel is drawn at its first position.
        counts: (outputs, outputs) pixels of the input in the window of each output.
        cells: Cells for which both frames have room, so that a cell keeps its size.
        titles: Titles of the two panels.
    """
    figure = Figure(figsize=(8.2, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    colors = ListedColormap(["white", PIXEL])
    edges = np.arange(len(pixels) + 1)
    left.pcolormesh(
        edges, edges, pixels, cmap=colors, vmin=0, vmax=1, edgecolors=EDGE, linewidth=0.6
    )
    left.add_patch(Rectangle((0, 0), kernel, kernel, fill=False, edgecolor=THEORY, linewidth=2))
    edges = np.arange(len(counts) + 1)
    right.pcolormesh(edges, edges, counts, cmap="Blues", vmin=0, vmax=max(1.3 * counts.max(), 1))
    _write(right, counts)
    for axes, title, side in ((left, titles[0], len(pixels)), (right, titles[1], len(counts))):
        margin = max(cells - side, 0) / 2 + 0.3
        limits = (-margin, side + margin)
        axes.set(aspect="equal", xticks=[], yticks=[], xlim=limits, ylim=limits[::-1])
        axes.spines[:].set_visible(False)
        axes.set_title(title, fontsize=9)
    return figure


def _write(axes: Axes, counts: np.ndarray) -> None:
    """Write each count into its cell."""
    for (row, column), number in np.ndenumerate(counts):
        color = "white" if number > 0.7 * counts.max() else "black"
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{number:.0f}",
            ha="center",
            va="center",
            fontsize=7,
            color=color,
        )


def transposed_convolution(stamps: np.ndarray) -> Figure:
    """Draw an upconvolution along an axis as stamps that are summed, beside A and its transpose.

    Args:
        stamps: (inputs, outputs) integers: row i is the stamp of input pixel i, with t + 1 where
            tap t of the kernel lies and 0 elsewhere. It is A, the matrix of the convolution that
            the upconvolution transposes.
    """
    inputs, outputs = stamps.shape
    figure = Figure(figsize=(8.4, 1.0 + 0.32 * outputs), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(outputs + 2.2, outputs, inputs))
    for pixel, row in enumerate(stamps):
        for place in np.flatnonzero(row).tolist():
            _cell(left, place, pixel, row[place], f"w{_sub(row[place] - 1)}x{_sub(pixel)}")
    overlap = np.sum(stamps > 0, axis=0)
    for place, number in enumerate(overlap):
        _cell(left, place, inputs + 0.6, 0, f"{number}")
    left.text(-0.7, inputs + 0.6, "stamps", ha="right", va="center", fontsize=8)
    for axes, matrix in ((middle, stamps), (right, stamps.T)):
        for (row, column), tap in np.ndenumerate(matrix):
            _cell(axes, column, row, tap, f"w{_sub(tap - 1)}" if tap else "")
    titles = ("stamp the kernel, and sum", "$A$: the convolution", r"$A^\top$: its transpose")
    sizes = ((outputs, inputs + 1.6), (outputs, inputs), (inputs, outputs))
    for axes, title, (width, height) in zip((left, middle, right), titles, sizes, strict=True):
        low = -2.6 if axes is left else -0.6
        axes.set(xlim=(low, width - 0.4), ylim=(height - 0.4, -0.6), aspect="equal")
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    return figure


def _cell(axes: Axes, column: float, row: float, tap: int, text: str) -> None:
    color = TAPS[(tap - 1) % len(TAPS)] if tap else "white"
    cell = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=color, edgecolor=EDGE)
    axes.add_patch(cell)
    if text:
        axes.text(column, row, text, ha="center", va="center", fontsize=7)


def _sub(number: int) -> str:
    """Write a number as a subscript; Unicode's is drawn ten times as fast as mathematics."""
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
