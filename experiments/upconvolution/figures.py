"""The upconvolution study's figures: the algebra, and the checkerboards of layers and nets."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from experiments.upconvolution.claims import OVERLAPS, Curves
from experiments.upconvolution.config import LABELS, STRIDE, case_label
from experiments.upconvolution.probes import overlap, phases_of
from jaxseg import ops
from jaxseg.nn.initializers import bilinear
from jaxseg.plots import CYCLE, NEUTRAL, PAGE, headline, overlaps, tidy, to_rgb
from jaxseg.studies import Row, Sweep

CAPTIONS = {
    "algebra.png": "Above: an upconvolution dilates its input and convolves. Below: it is also the "
    "pixel shuffle of one small convolution for each phase of the output, a color each.",
    "overlap.png": "How many taps meet in each output pixel: unevenly where the stride does not "
    "divide the window.",
    "initial.png": "What random layers leave before any training, measured over many draws, beside "
    "theory, dashed.",
    "checkerboards.png": "The energy at the stride's frequencies through training, at each arm's "
    "best rate: median and range over the seeds. White noise has 1.",
    "decoders.png": "Logits of one validation image, each on its own scale, and spectra over all "
    "images, over six decades with frequency 0 in the middle, of each arm's best run.",
}
PHASES = (CYCLE[3], CYCLE[1], CYCLE[4], CYCLE[0])
STYLES = {
    "upconv k2s2": (CYCLE[2], "v"),
    "upconv k3s2": (CYCLE[0], "s"),
    "upconv k4s2": (CYCLE[1], "D"),
    "sub-pixel": ("#b8860b", "P"),
    "sub-pixel ICNR": (CYCLE[4], "X"),
    "upconv bilinear": (CYCLE[3], "^"),
    "resize nearest": (NEUTRAL, "o"),
    "resize bilinear": ("#7fb2e5", "o"),
}
"""Arm -> color and marker; markers tell apart what colors may not."""
THEORY: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1}
NEAREST: dict[str, Any] = {"interpolation": "nearest"}
VIEWS = ("logit of a class, before", "spectrum, before", "logit, after", "spectrum, after")


def draw(
    sweep: Sweep,
    initial: Sequence[Row],
    logits: Curves,
    gradients: Curves,
    labels: float,
    batch: Mapping[str, jax.Array],
) -> dict[str, Figure]:
    """Draw the study's figures: file name -> figure.

    Args:
        sweep: The study's sweep, which keeps the arms' logits.
        initial: Rows of initial.csv.
        logits: Energies of the logits.
        gradients: Energies of the gradient in the image.
        labels: Energy of the labels themselves.
        batch: The validation images that are measured.
    """
    kept = {arm: sweep.read_array("logits", arm=arm) for arm in logits}
    counts = {name: overlap(window) for name, (window, _) in OVERLAPS.items()}
    info, mask = sweep.dataset.info, np.asarray(batch["label"][0])
    image = np.asarray(info.denormalize(batch["image"][0]))
    return {
        "algebra.png": upconvolution(*upconvolution_arrays()),
        "overlap.png": overlaps(counts, title="Taps that meet in each output pixel"),
        "initial.png": initial_layers(initial),
        "checkerboards.png": checkerboards(logits, gradients, labels=labels),
        "decoders.png": decoders(image, mask, kept, info.palette),
    }


def upconvolution_arrays() -> tuple[np.ndarray, ...]:
    """Compute what `upconvolution` draws: a small shape under bilinear interpolation."""
    with jax.enable_x64(True):
        image = jnp.asarray(np.tri(6) * (np.indices((6, 6)).sum(0) > 2) * 1.0)
        kernel = bilinear()(jax.random.key(0), (4, 4, 1, 1), jnp.float64)
        x, parts = image[None, :, :, None], phases_of(kernel)
        return (
            np.asarray(image),
            np.asarray(kernel[:, :, 0, 0]),
            np.asarray(ops.upconv(x, kernel, stride=STRIDE)[0, :, :, 0]),
            np.stack([part[:, :, 0, 0] for part, _ in parts]),
            np.stack([ops.conv(x, part, padding=pad)[0, :, :, 0] for part, pad in parts]),
        )


def upconvolution(
    image: np.ndarray,
    kernel: np.ndarray,
    output: np.ndarray,
    parts: np.ndarray,
    outputs: np.ndarray,
) -> Figure:
    """Draw one 4x4 upconvolution of stride 2 as a dilated input, and as four small convolutions.

    Args:
        image: (n, n) input.
        kernel: (4, 4) kernel.
        output: (2n, 2n) output.
        parts: (4, 2, 2) kernels of the phases, row by row.
        outputs: (4, n, n) outputs of the phases.
    """
    figure = Figure(figsize=(PAGE, 4.6), layout="constrained")
    headline(figure, "A 4 × 4 upconvolution of stride 2, in two ways")
    upper, lower = figure.subfigures(2, 1, hspace=0.06)  # type: ignore[misc]
    scale = {"vmin": 0, "vmax": float(np.max(np.abs([output.max(), image.max()])))}
    dilated = np.zeros(tuple(2 * n - 1 for n in image.shape))
    dilated[::2, ::2] = image
    first = upper.subplots(1, 4)
    _pixels(first[0], image, "the input", **scale)
    _pixels(first[1], dilated, "dilated: zeros\nbetween (blue)", **scale)
    for i, j in np.argwhere(np.add.outer(*(np.arange(n) % 2 for n in dilated.shape))):
        first[1].add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color="#3c5a80", linewidth=0))
    _kernel(first[2], kernel, "convolved with\nthis kernel", lambda i, j: 2 * (i % 2) + j % 2)
    _pixels(first[3], output, "the output", **scale)
    second = lower.subplots(1, 4)
    _pixels(second[0], image, "the same input", **scale)
    _grid(second[1], parts, "four 2 × 2 kernels,\nevery second tap of it", kernels=True)
    _grid(second[2], outputs, "four convolutions", **scale)
    shuffled = np.zeros_like(output)
    for number, part in enumerate(outputs):
        i, j = divmod(number, 2)
        shuffled[i::2, j::2] = part
        frame = {"fill": False, "edgecolor": PHASES[number], "linewidth": 1.6}
        second[3].add_patch(Rectangle((j - 0.4, i - 0.4), 0.8, 0.8, **frame))
    _pixels(second[3], shuffled, "interleaved:\npixel shuffle", **scale)
    largest = np.max(np.abs(shuffled - output))
    difference = f"{largest:.0e}" if largest else "0"
    second[3].set_xlabel(f"largest difference\nfrom above: {difference}", fontsize=8)
    return figure


def _pixels(axes: Axes, values: np.ndarray, title: str, **scale: float) -> None:
    axes.imshow(values, cmap="gray", **scale)  # type: ignore[arg-type]
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=8)


def _kernel(axes: Axes, kernel: np.ndarray, title: str, phase: Callable[[int, int], int]) -> None:
    """Write weights as numbers on the color of their phase."""
    rows, columns = kernel.shape
    for (i, j), weight in np.ndenumerate(kernel):
        cell = {"facecolor": PHASES[phase(i, j)], "alpha": 0.35, "edgecolor": "white"}
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, **cell))
        axes.text(j, i, f"{weight:.3g}".lstrip("0"), ha="center", va="center", fontsize=6)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=8)


def _grid(
    axes: Axes, arrays: Iterable[np.ndarray], title: str, *, kernels: bool = False, **scale: float
) -> None:
    """Draw four small arrays in the place of one, each in the color of its phase."""
    axes.set_title(title, fontsize=8)
    axes.axis("off")
    for number, array in enumerate(arrays):
        i, j = divmod(number, 2)
        inset = axes.inset_axes((0.52 * j, 0.52 * (1 - i), 0.46, 0.46))
        if kernels:
            _kernel(inset, array, "", lambda _i, _j, n=number: n)
        else:
            _pixels(inset, array, "", **scale)
            inset.spines[:].set(color=PHASES[number], linewidth=1.6)
    axes.set_aspect("equal")


def initial_layers(rows: Sequence[Row]) -> Figure:
    """Draw what was measured of layers at initialization beside theory, a panel a quantity.

    Args:
        rows: Rows of initial.csv.
    """
    by_quantity: dict[str, list[Row]] = {}
    for row in rows:
        by_quantity.setdefault(row["quantity"], []).append(row)
    counts = [len(cases) for cases in by_quantity.values()]
    height = 0.9 + 0.85 * len(counts) + 0.2 * sum(counts)
    figure = Figure(figsize=(PAGE, height), layout="constrained")
    headline(figure, "Layers at initialization")
    ratios = [1 + 0.4 * count for count in counts]
    panels = figure.subplots(len(counts), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for axes, (quantity, cases) in zip(panels, by_quantity.items(), strict=True):
        for at, row in enumerate(cases):
            axes.plot([row["theory"]] * 2, [at - 0.35, at + 0.35], **THEORY)
            color = STYLES.get(row["case"], (CYCLE[3], "o"))[0]
            bar = {"fmt": "o", "color": color, "markersize": 4.5, "capsize": 3}
            axes.errorbar(row["measured"], at, xerr=2 * row["error"], **bar)
        axes.set_yticks(range(len(cases)), [case_label(row["case"]) for row in cases])
        axes.set(xlabel=quantity, ylim=(len(cases) - 0.4, -0.6))
        axes.set_xlim(left=-0.03 * max(row["theory"] for row in cases))
        axes.grid(axis="x", linewidth=0.3)
        tidy(axes)
    dots: dict[str, Any] = {"color": NEUTRAL, "marker": "o", "linestyle": ""}
    dot = Line2D([], [], label="measured, ± 2 standard errors", **dots)
    handles = [dot, Line2D([], [], label="theory, nothing fitted", **THEORY)]
    figure.legend(handles=handles, fontsize=8, frameon=False, ncols=2, loc="outside lower center")
    return figure


def checkerboards(logits: Curves, gradients: Curves, *, labels: float) -> Figure:
    """Draw the energy of checkerboards through training: median and range over the seeds.

    Args:
        logits: Arm -> steps, and (seeds, steps) energies; see `analysis.checkerboard_energy`.
        gradients: Likewise, of the gradient in the image.
        labels: Energy of the labels themselves.
    """
    figure = Figure(figsize=(PAGE, 4.2), layout="constrained")
    headline(figure, "Checkerboards through training, each arm at its best rate")
    left, right = figure.subplots(1, 2, sharey=True)
    panels = ((left, logits, "in the logits"), (right, gradients, "in the image's gradient"))
    for axes, curves, name in panels:
        for arm, (steps, runs) in curves.items():
            color, mark = STYLES[arm]
            line = {"color": color, "marker": mark, "markersize": 4.5, "linewidth": 1.4}
            axes.plot(steps, np.median(runs, axis=0), label=LABELS[arm], **line)
            axes.fill_between(
                steps, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.13, linewidth=0
            )
        axes.axhline(1, color="black", linestyle=":", linewidth=1, label="white noise; any slope")
        axes.set_yscale("symlog", linthresh=0.1, linscale=0.5)  # linear near 0, to show 0
        axes.set(xlabel="step", ylim=(-0.01, None), title=name)
        tidy(axes)
        axes.grid(axis="y", linewidth=0.3)
    left.axhline(labels, label="the labels themselves", **THEORY)
    left.set_ylabel("energy at the stride's frequencies\n(white noise: 1)", fontsize=8)
    ticks = [0, 0.1, 1, 10, 100]
    left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    handles, _ = left.get_legend_handles_labels()
    figure.legend(handles=handles, fontsize=8, frameon=False, ncols=4, loc="outside lower center")
    return figure


def decoders(
    image: np.ndarray,
    mask: np.ndarray,
    logits: Mapping[str, np.ndarray],
    palette: Sequence[tuple[int, int, int]],
) -> Figure:
    """Draw logits of one image, and the spectra over all images, a column an arm.

    Args:
        image: (height, width, channels), from 0 to 1.
        mask: (height, width) labels.
        logits: Arm -> (2, images, rows, columns, classes), before and after training, less a
            border. Those of the first image are drawn, for the class in its middle.
        palette: A color a class.
    """
    columns = 1 + len(logits)
    wide = min(PAGE, max(4.8, 1.3 * columns))
    figure = Figure(figsize=(wide, 1.2 + 4 * wide / (columns + 0.5)), layout="constrained")
    headline(figure, "Logits and their spectra")
    grid = figure.subplots(len(VIEWS), len(logits) + 1, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    border = (len(mask) - next(iter(logits.values())).shape[2]) // 2
    inner, middle = slice(border, len(mask) - border), mask[len(mask) // 2, len(mask) // 2]
    for axes, picture, name in zip(grid[:2, 0], (image, mask), ("image", "labels"), strict=True):
        axes.imshow(to_rgb(picture[inner, inner], palette), **NEAREST)
        axes.set_xlabel(name, fontsize=8)
    grid[2, 0].axis("off")
    grid[3, 0].axis("off")
    for column, (arm, stages) in zip(grid[:, 1:].T, logits.items(), strict=True):
        column[0].set_title(
            textwrap.fill(LABELS.get(arm, arm).replace(" × ", "\u00a0×\u00a0"), 10), fontsize=7.5
        )
        for number, values in enumerate(stages):
            shown = values[0, :, :, middle]
            reach = float(np.max(np.abs(shown))) or 1.0
            column[2 * number].imshow(shown, cmap="RdBu_r", vmin=-reach, vmax=reach, **NEAREST)
            power = spectrum(values)
            power = np.maximum(power / (power.max() or 1), 1e-6)
            column[2 * number + 1].imshow(power, norm=LogNorm(1e-6, 1), cmap="magma", **NEAREST)
    for axes, name in zip(grid[:, 1], VIEWS, strict=True):
        axes.set_ylabel(textwrap.fill(name, 12), fontsize=7)
    return figure


def spectrum(logits: np.ndarray) -> np.ndarray:
    """Average the power spectra over images and classes, each without its mean.

    Args:
        logits: (images, rows, columns, classes).

    Returns:
        (rows, columns), frequency 0 in the middle.
    """
    centered = logits - logits.mean(axis=(1, 2), keepdims=True)
    # The taper ends at 0; otherwise what an image does at its edges would hide the rest.
    taper = np.outer(*(np.hanning(n + 1)[:-1] for n in logits.shape[1:3]))
    power = np.abs(np.fft.fft2(centered * taper[:, :, None], axes=(1, 2))) ** 2
    return np.fft.fftshift(power.mean(axis=(0, 3)))
