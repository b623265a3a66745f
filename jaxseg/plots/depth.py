"""The depth study: losses and gradients against depth, curves, and what nets predict."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ARM_COLOURS = {
    "plain": "#c1272d",
    "plain_norm": "#f08c2e",
    "plain_isometric": "#8c6bb1",
    "residual": "#0b5fa5",
    "residual_norm": "#3aa6a0",
}
OTHER = "#555555"


def depth_scaling(
    *,
    losses: Mapping[str, Mapping[int, np.ndarray]],
    chance: float,
    gradients: Mapping[str, np.ndarray],
    depth: int,
    theory: Mapping[str, np.ndarray],
    strip: Mapping[str, np.ndarray],
    palette: Sequence[tuple[int, int, int]],
    title: str,
) -> Figure:
    """The depth study in one figure.

    Args:
        losses: arm -> depth -> training losses over the seeds.
        chance: the loss of knowing nothing, in nats.
        gradients: arm -> (seeds, layers) gradient norms at initialisation, at one depth.
        depth: that depth, in convolutions.
        theory: arm -> (layers,) log10 of the expected norm relative to the last layer's.
        strip: name -> (n, height, width, channels) images in 0..1 or (n, height, width) labels.
        palette: a colour a class.
        title: of the whole figure.
    """
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    figure.suptitle(f"How deep can it be trained?  {title}", fontsize=11)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.25, 1))  # type: ignore[misc]
    left, right = upper.subplots(1, 2)
    loss_against_depth(left, losses, chance)
    gradient_profile(right, gradients, theory, depth)
    image_strip(lower, strip, palette)
    return figure


def loss_against_depth(
    axes: Axes, losses: Mapping[str, Mapping[int, np.ndarray]], chance: float
) -> None:
    """Median training loss against depth with the spread over seeds, and the level of chance.

    A median above the axis stands at its upper edge: a triangle where finite, a cross where lost.
    """
    ceiling = 1.25 * chance
    marks = {"^": "above the axis", "x": "diverged"}
    drawn = set()
    for arm, table in losses.items():
        depths = sorted(table)
        runs = [table[d] for d in depths]
        spread = np.array([(np.min(r), np.median(r), np.max(r)) for r in runs])
        low, middle, high = np.minimum(spread, ceiling).T
        colour = ARM_COLOURS.get(arm, OTHER)
        axes.plot(depths, middle, "o-", color=colour, label=arm, markersize=4)
        axes.fill_between(depths, low, high, color=colour, alpha=0.15, linewidth=0)
        finite = np.isfinite(spread[:, 1])
        for mark, there in (("^", finite & (spread[:, 1] > ceiling)), ("x", ~finite)):
            at = np.array(depths)[there]
            axes.plot(at, np.full(len(at), ceiling), mark, color=colour, markersize=9)
            drawn |= {mark} if len(at) else set()
    for mark in sorted(drawn):
        axes.plot([], [], mark, color=OTHER, label=marks[mark])
    _chance_levels(axes, chance)
    depths = sorted({d for table in losses.values() for d in table})
    axes.set_xscale("log", base=2)
    axes.set_xticks(depths, [str(d) for d in depths])
    axes.set(
        xlabel="depth (convolutions)",
        ylabel="training loss (nats)",
        ylim=(0, 1.3 * chance),
        title="Training loss at each arm's best rate: median and range over seeds",
    )
    axes.title.set_fontsize(9)
    axes.legend(fontsize=8, frameon=False, loc="lower left", ncols=2)


def _chance_levels(axes: Axes, chance: float) -> None:
    axes.axhline(chance, color="black", linestyle=":", linewidth=1, label="chance, ln K")
    axes.axhline(
        chance / 2, color="black", linestyle="--", linewidth=0.8, label="trainable below ½ ln K"
    )


def training_curves(
    curves: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]], chance: float, *, title: str
) -> Figure:
    """Training loss against step, a line a seed.

    Args:
        curves: "arm, depth" -> (steps, losses) of each seed.
        chance: the loss of knowing nothing, in nats.
        title: of the figure.
    """
    figure = Figure(figsize=(8.5, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, runs in curves.items():
        colour = ARM_COLOURS.get(name.split(",")[0], OTHER)
        for number, (steps, losses) in enumerate(runs):
            label = f"{name} convolutions" if number == 0 else None
            axes.plot(steps, losses, color=colour, alpha=0.7, linewidth=1.2, label=label)
    _chance_levels(axes, chance)
    axes.set(xlabel="step", ylabel="training loss (nats)", ylim=(0, 1.5 * chance))
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def layer_responses(
    responses: Mapping[str, Mapping[int, np.ndarray]],
    shares: Mapping[str, Mapping[int, np.ndarray]],
    *,
    title: str,
) -> Figure:
    """What blocks put out or add, and its share of their output: median and range over seeds.

    Args:
        responses: arm -> depth -> (seeds, blocks) standard deviations; the deepest are shown.
        shares: likewise, ratios to the outputs' standard deviations; arms of ones are left out.
        title: of the figure.
    """
    figure = Figure(figsize=(10, 4.3), layout="constrained")
    figure.suptitle(f"The blocks' responses after training.  {title}", fontsize=9)
    left, right = figure.subplots(1, 2)
    for arm, by_depth in responses.items():
        depth = max(by_depth)
        _by_block(left, by_depth[depth], ARM_COLOURS.get(arm, OTHER), "-", f"{arm}, {depth}")
    for arm, by_depth in shares.items():
        for style, depth in zip("-:", sorted({max(by_depth), min(by_depth)})[::-1], strict=False):
            if np.ptp(by_depth[depth]):
                colour = ARM_COLOURS.get(arm, OTHER)
                _by_block(right, by_depth[depth], colour, style, f"{arm}, {depth}")
    left.set_title("Standard deviation of what a block puts out or adds", fontsize=9)
    right.set_title("What a residual block adds, over its output (a plain one: 1)", fontsize=9)
    for axes in (left, right):
        axes.set(xlabel="place in the net (0 is next to the image)", yscale="log")
        axes.legend(
            fontsize=8,
            frameon=False,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.14),
            ncols=3,
            title="arm, convolutions",
            title_fontsize=8,
        )
    return figure


def _by_block(axes: Axes, values: np.ndarray, colour: str, style: str, label: str) -> None:
    places = np.linspace(0, 1, values.shape[1])
    axes.plot(places, np.median(values, axis=0), style, color=colour, label=label, linewidth=1.6)
    axes.fill_between(
        places, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.12, linewidth=0
    )


def gradient_profile(
    axes: Axes, gradients: Mapping[str, np.ndarray], theory: Mapping[str, np.ndarray], depth: int
) -> None:
    """Gradient norm of each block's input over the last one's: measured lines, theory dashed."""
    for arm, norms in gradients.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log10(norms) - np.log10(norms[:, -1:])
        blocks = np.arange(1, norms.shape[1] + 1)
        colour = ARM_COLOURS.get(arm, OTHER)
        axes.plot(blocks, np.median(logs, axis=0), color=colour, label=arm, linewidth=1.6)
        axes.fill_between(
            blocks, logs.min(axis=0), logs.max(axis=0), color=colour, alpha=0.15, linewidth=0
        )
        if arm in theory:
            axes.plot(blocks, theory[arm], "--", color=colour, linewidth=1)
    axes.plot([], [], "--", color=OTHER, linewidth=1, label="theory, nothing fitted")
    axes.set(
        xlabel="block (1 is next to the image)",
        ylabel="log₁₀ of gradient norm / last block's",
        title=f"Gradient in each block's input at initialisation, {depth} convolutions",
    )
    axes.title.set_fontsize(9)
    axes.legend(fontsize=8, frameon=False)


def image_strip(figure, strip: Mapping[str, np.ndarray], palette) -> None:
    """Rows of images and label maps, one row a name."""
    count = len(next(iter(strip.values())))
    grid = figure.subplots(len(strip), count, squeeze=False)
    for row, (name, pictures) in zip(grid, strip.items(), strict=True):
        for axes, picture in zip(row, pictures, strict=True):
            axes.imshow(to_rgb(picture, palette), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)


def to_rgb(picture: np.ndarray, palette: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """(height, width, 3) in 0..1 from an image or a label map; ignored pixels are white."""
    if picture.ndim == 3:
        return np.broadcast_to(np.clip(picture, 0, 1), (*picture.shape[:2], 3))
    colours = np.full((256, 3), 255, np.uint8)
    colours[: len(palette)] = palette
    return colours[picture.astype(np.uint8)] / 255
