"""Upconvolutions as pictures, and the checkerboards that they paint."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

ZERO = "#3c5a80"
PHASES = ("#0b5fa5", "#f08c2e", "#3aa6a0", "#c1272d")
STYLES = {
    "upconv k2s2": ("#8c6bb1", "v"),
    "upconv k3s2": ("#c1272d", "s"),
    "upconv k4s2": ("#f08c2e", "D"),
    "sub-pixel": ("#b8860b", "P"),
    "sub-pixel ICNR": ("#3aa6a0", "X"),
    "upconv bilinear": ("#0b5fa5", "^"),
    "resize nearest": ("#555555", "o"),
    "resize bilinear": ("#7fb2e5", "o"),
}
"""Arm -> colour and mark; marks tell apart what colours may not."""
THEORY = {"color": "black", "linestyle": "--", "linewidth": 1}
LINEAR = 0.1
"""Below it an axis of energies is linear, so that 0 is on it."""


def upconvolution(
    image: np.ndarray,
    dilated: np.ndarray,
    kernel: np.ndarray,
    output: np.ndarray,
    parts: np.ndarray,
    outputs: np.ndarray,
    *,
    title: str = "",
) -> Figure:
    """One upconvolution of 4x4 at stride 2 as a dilated input, and as four small convolutions.

    Args:
        image: (n, n).
        dilated: the image with a row and a column of zeros between its pixels.
        kernel: (4, 4).
        output: (2n, 2n), of the convolution of `dilated`.
        parts: (4, 2, 2), the kernels of the phases, row by row.
        outputs: (4, n, n), what they give.
        title: of the figure.
    """
    figure = Figure(figsize=(10.2, 5.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    upper, lower = figure.subfigures(2, 1, hspace=0.06)  # type: ignore[misc]
    scale = {"vmin": 0, "vmax": float(np.max(np.abs([output.max(), image.max()])))}
    first = upper.subplots(1, 4)
    _pixels(first[0], image, "the input", **scale)
    _pixels(first[1], dilated, "dilated: zeros between (blue)", **scale)
    for i, j in np.argwhere(np.add.outer(*(np.arange(n) % 2 for n in dilated.shape))):
        first[1].add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color=ZERO, linewidth=0))
    _kernel(first[2], kernel, "convolved with this kernel", lambda i, j: 2 * (i % 2) + j % 2)
    _pixels(first[3], output, "the output", **scale)
    second = lower.subplots(1, 4)
    _pixels(second[0], image, "the same input", **scale)
    _grid(second[1], parts, "four 2x2 kernels,\nevery second tap of it", kernels=True)
    _grid(second[2], outputs, "four convolutions", **scale)
    shuffled = outputs.reshape(2, 2, *image.shape).transpose(2, 0, 3, 1)
    shuffled = shuffled.reshape(2 * image.shape[0], 2 * image.shape[1])
    _pixels(second[3], shuffled, "interleaved: pixel shuffle", **scale)
    for i in range(2):
        for j in range(2):
            _framed(second[3], i, j, PHASES[2 * i + j])
    off = np.max(np.abs(shuffled - output))
    second[3].set_xlabel(f"largest difference from above: {off:.0e}", fontsize=8)
    return figure


def _pixels(axes: Axes, values: np.ndarray, title: str, **scale: float) -> None:
    axes.imshow(values, cmap="gray", **scale)  # type: ignore[arg-type]
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def _framed(axes: Axes, i: int, j: int, colour: str) -> None:
    """A pixel with an edge of that colour."""
    axes.add_patch(
        Rectangle((j - 0.4, i - 0.4), 0.8, 0.8, fill=False, edgecolor=colour, linewidth=1.6)
    )


def _kernel(axes: Axes, kernel: np.ndarray, title: str, phase) -> None:
    """Weights as numbers on the colour of their phase."""
    rows, columns = kernel.shape
    for (i, j), weight in np.ndenumerate(kernel):
        axes.add_patch(
            Rectangle(
                (j - 0.5, i - 0.5),
                1,
                1,
                facecolor=PHASES[phase(i, j)],
                alpha=0.35,
                edgecolor="white",
            )
        )
        axes.text(j, i, f"{weight:.3g}".lstrip("0"), ha="center", va="center", fontsize=7)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=9)


def _grid(place: Axes, pictures, title: str, *, kernels: bool = False, **scale) -> None:
    """Four small pictures in the place of one, each framed in the colour of its phase."""
    place.set_title(title, fontsize=9)
    place.axis("off")
    for number, picture in enumerate(pictures):
        i, j = divmod(number, 2)
        own = place.inset_axes((0.52 * j, 0.52 * (1 - i), 0.46, 0.46))
        if kernels:
            _kernel(own, picture, "", lambda _i, _j, n=number: n)
        else:
            _pixels(own, picture, "", **scale)
            own.spines[:].set_color(PHASES[number])
            own.spines[:].set_linewidth(1.6)
    place.set_aspect("equal")


def drawn_checkerboards(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """What was measured of layers as they are drawn, beside theory, a panel a quantity.

    Args:
        rows: "quantity", "case", "theory", "measured" and its standard "error" of each.
        title: of the figure.
    """
    quantities = list(dict.fromkeys(row["quantity"] for row in rows))
    counts = [sum(row["quantity"] == q for row in rows) for q in quantities]
    figure = Figure(figsize=(3.2 + 2.7 * len(quantities), 4.2), layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(1, len(quantities), squeeze=False, width_ratios=counts)[0]
    for axes, quantity in zip(panels, quantities, strict=True):
        own = [row for row in rows if row["quantity"] == quantity]
        for at, row in enumerate(own):
            axes.plot([at - 0.35, at + 0.35], [row["theory"]] * 2, **THEORY)
            colour = STYLES.get(row["case"], ("#0b5fa5", "o"))[0]
            axes.errorbar(
                at,
                row["measured"],
                2 * row["error"],
                fmt="o",
                color=colour,
                markersize=5,
                capsize=4,
            )
        axes.set_xticks(
            range(len(own)), [row["case"] for row in own], rotation=40, ha="right", fontsize=8
        )
        axes.set_title(_wrapped(quantity), fontsize=9)
        axes.set_ylim(bottom=-0.03 * max(row["theory"] for row in own))
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.1)
    handles = [
        Line2D(
            [], [], color="#555555", marker="o", linestyle="", label="measured, ± 2 standard errors"
        ),
        Line2D([], [], label="theory, nothing fitted", **THEORY),
    ]
    figure.legend(handles=handles, fontsize=8, frameon=False, ncols=2, loc="outside lower center")
    return figure


def _wrapped(text: str, width: int = 30) -> str:
    lines = [""]
    for word in text.split():
        fits = len(lines[-1]) + len(word) < width
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if fits else [*lines, word]
    return "\n".join(lines)


Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


def checkerboards(logits: Curves, gradients: Curves, *, labels: float, title: str = "") -> Figure:
    """Energy of checkerboards through training: means over seeds and their range.

    Args:
        logits: arm -> steps and (seeds, steps) energies, as `analysis.checkerboard_energy`.
        gradients: the same of the gradient in the image.
        labels: energy of the labels themselves.
        title: of the figure.
    """
    figure = Figure(figsize=(10.6, 4.6), layout="constrained")
    figure.suptitle(title, fontsize=9)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, curves, name in (
        (left, logits, "in the logits"),
        (right, gradients, "in the image's gradient"),
    ):
        for number, (arm, (steps, runs)) in enumerate(curves.items()):
            colour, mark = STYLES.get(arm, (f"C{number}", "o"))
            axes.plot(
                steps, runs.mean(axis=0), color=colour, marker=mark, markersize=4.5, linewidth=1.4
            )
            axes.fill_between(
                steps, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.13, linewidth=0
            )
        axes.axhline(1, color="black", linestyle=":", linewidth=1)
        axes.set_yscale("symlog", linthresh=LINEAR, linscale=0.5)
        axes.set(xlabel="step", ylim=(-0.01, None))
        axes.set_title(name, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.3)
    left.axhline(labels, **THEORY)
    left.set_ylabel("energy at the stride's frequencies\n(white noise: 1)")
    ticks = [0, 0.1, 1, 10, 100]
    left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    handles = [
        Line2D([], [], color=colour, marker=mark, markersize=5, label=arm)
        for arm, (colour, mark) in STYLES.items()
        if arm in logits
    ]
    handles += [
        Line2D([], [], label="the labels themselves", **THEORY),
        Line2D([], [], color="black", linestyle=":", label="white noise; any slope"),
    ]
    figure.legend(handles=handles, fontsize=8, frameon=False, loc="outside right center")
    return figure


def decoders(
    image: np.ndarray,
    labels: np.ndarray,
    views: Mapping[str, Sequence[np.ndarray]],
    names: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """What decoders give: a column an arm, a row a picture; spectra last, by their names.

    Args:
        image: (height, width, 3), from 0 to 1.
        labels: likewise, as colours.
        views: arm -> a picture a name: logits (height, width), or a power spectrum where the name
            begins with "spectrum", its frequency 0 in the middle.
        names: of the pictures.
        title: of the figure.
    """
    columns = len(views) + 1
    figure = Figure(figsize=(0.6 + 1.35 * columns, 0.7 + 1.4 * len(names)), layout="constrained")
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(len(names), columns, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    for axes, picture, name in zip(grid[:2, 0], (image, labels), ("image", "labels"), strict=False):
        axes.imshow(picture, interpolation="nearest")
        axes.set_xlabel(name, fontsize=8)
    for axes in grid[2:, 0]:
        axes.axis("off")
    for column, (arm, pictures) in enumerate(views.items(), start=1):
        grid[0, column].set_title(_wrapped(arm, 11), fontsize=8)
        for axes, name, picture in zip(grid[:, column], names, pictures, strict=True):
            _view(axes, name, np.asarray(picture))
    for axes, name in zip(grid[:, 1], names, strict=True):
        axes.set_ylabel(_wrapped(name, 14), fontsize=8)
    return figure


def _view(axes: Axes, name: str, picture: np.ndarray) -> None:
    if name.startswith("spectrum"):
        shown = np.maximum(picture / picture.max(), 1e-6)
        axes.imshow(shown, norm=LogNorm(1e-6, 1), cmap="magma", interpolation="nearest")
        return
    reach = float(np.max(np.abs(picture))) or 1.0
    axes.imshow(picture, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
