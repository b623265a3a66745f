"""The depth study's figures: losses against depth, curves, responses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.colors import ARM_COLORS
from experiments.depth_scaling.claims import Best, loss_table
from experiments.depth_scaling.config import ARMS, Config
from experiments.depth_scaling.probes import theory
from jaxseg.plots import NEUTRAL, gradient_profile, image_strip
from jaxseg.studies import Row, Sweep

CAPTIONS = {
    "depth_scaling.png": "Training loss against depth; the gradient in each block's input before "
    "training, theory dashed; what the deepest nets predict on images they never saw",
    "curves.png": "Training loss of each arm's deepest nets at their best rate, a line a seed",
    "responses.png": "After training: what each block of the deepest nets puts out (plain) or adds "
    "(residual), and how much of its output that is, in the shallowest and the deepest",
}
POINTS = 50
"""Points of a training curve, about."""


def draw(
    config: Config,
    sweep: Sweep,
    best: Best,
    gradients: Sequence[Row],
    responses: Mapping[str, Any],
    *,
    chance: float,
    title: str,
) -> dict[str, Figure]:
    """Draw the study's figures: file name -> figure.

    Args:
        config: The study's configuration.
        sweep: Its sweep.
        best: Arm -> depth -> its rows at its best rate there.
        gradients: Rows of gradients.csv.
        responses: "response" and "share" -> arm -> depth -> (seeds, blocks).
        chance: The loss of knowing nothing, in nats.
        title: What the numbers hold for.
    """
    depth = max(row["depth"] for row in gradients)
    profiles = gradient_table(gradients, depth)
    expected = {arm: theory(depth, config.size, config.dilation, ARMS[arm]) for arm in profiles}
    return {
        "depth_scaling.png": depth_scaling(
            losses=loss_table(best),
            chance=chance,
            gradients=profiles,
            depth=depth,
            theory={arm: line for arm, line in expected.items() if line is not None},
            strip=prediction_strip(sweep, best),
            palette=sweep.dataset.info.palette,
            title=title,
        ),
        "curves.png": training_curves(curve_table(sweep, best), chance, title=title),
        "responses.png": layer_responses(responses["response"], responses["share"], title=title),
    }


def gradient_table(gradients: Sequence[Row], depth: int) -> dict[str, np.ndarray]:
    """Collect the norms of the gradient in each block's input: arm -> (seeds, layers)."""
    table: dict[str, dict[int, list[float]]] = {}
    for row in gradients:
        if row["depth"] == depth:
            by_seed = table.setdefault(row["arm"], {})
            by_seed.setdefault(row["seed"], []).append(row["input_gradient_norm"])
    return {arm: np.array(list(by_seed.values())) for arm, by_seed in table.items()}


def curve_table(sweep: Sweep, best: Best) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Collect the curves of each arm's deepest nets: "arm, depth" -> (steps, losses) by seed."""
    every = max(1, sweep.config.steps // POINTS)
    curves = {}
    for arm, depths in best.items():
        depth = max(depths)
        losses = sweep.members(arm=arm, depth=depth).pick(depths[depth])
        points = losses.shape[1] // every
        means = losses[:, : points * every].reshape(len(losses), points, every).mean(axis=2)
        curves[f"{arm}, {depth}"] = [(np.arange(points) * every, line) for line in means]
    return curves


def prediction_strip(sweep: Sweep, best: Best) -> dict[str, np.ndarray]:
    """Collect validation images, masks, and what the deepest nets of either kind predict."""
    strip = {}
    for arm in ("residual", "plain"):
        if arm in best:
            depth = max(best[arm])
            strip[f"{arm}, {depth}"] = sweep.read_array("predictions", arm=arm, depth=depth)
    count = min((len(labels) for labels in strip.values()), default=1)
    examples = sweep.validation[:count]
    return {
        "image": np.stack([example["image"] / 255 for example in examples]),
        "mask": np.stack([example["label"] for example in examples]),
        **strip,
    }


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
    """Draw the depth study in one figure.

    Args:
        losses: Arm -> depth -> training losses over the seeds.
        chance: The loss of knowing nothing, in nats.
        gradients: Arm -> (seeds, layers) gradient norms at initialization, at one depth.
        depth: That depth, in convolutions.
        theory: Arm -> (layers,) log10 of the expected norm relative to the last layer's.
        strip: Name -> (n, height, width, channels) images in 0..1 or (n, height, width) labels.
        palette: A color a class.
        title: Title of the whole figure.
    """
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    figure.suptitle(f"How deep can it be trained?  {title}", fontsize=11)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.25, 1))  # type: ignore[misc]
    left, right = upper.subplots(1, 2)
    loss_against_depth(left, losses, chance)
    gradient_profile(right, gradients, theory, depth, ARM_COLORS)
    image_strip(lower, strip, palette)
    return figure


def loss_against_depth(
    axes: Axes, losses: Mapping[str, Mapping[int, np.ndarray]], chance: float
) -> None:
    """Draw the median training loss against depth, its range over seeds, and the level of chance.

    A median above the axis is drawn at its upper edge: a triangle if finite, else a cross.
    """
    ceiling = 1.25 * chance
    marks = {"^": "above the axis", "x": "diverged"}
    drawn = set()
    for arm, table in losses.items():
        depths = sorted(table)
        runs = [table[d] for d in depths]
        spread = np.array([(np.min(r), np.median(r), np.max(r)) for r in runs])
        low, middle, high = np.minimum(spread, ceiling).T
        color = ARM_COLORS[arm]
        axes.plot(depths, middle, "o-", color=color, label=arm, markersize=4)
        axes.fill_between(depths, low, high, color=color, alpha=0.15, linewidth=0)
        finite = np.isfinite(spread[:, 1])
        for mark, chosen in (("^", finite & (spread[:, 1] > ceiling)), ("x", ~finite)):
            at = np.array(depths)[chosen]
            axes.plot(at, np.full(len(at), ceiling), mark, color=color, markersize=9)
            drawn |= {mark} if len(at) else set()
    for mark in sorted(drawn):
        axes.plot([], [], mark, color=NEUTRAL, label=marks[mark])
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
    """Draw the training loss against the step, a line a seed.

    Args:
        curves: "arm, depth" -> (steps, losses) of each seed.
        chance: The loss of knowing nothing, in nats.
        title: Title of the figure.
    """
    figure = Figure(figsize=(8.5, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, runs in curves.items():
        color = ARM_COLORS[name.split(",")[0]]
        for number, (steps, losses) in enumerate(runs):
            label = f"{name} convolutions" if number == 0 else None
            axes.plot(steps, losses, color=color, alpha=0.7, linewidth=1.2, label=label)
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
    """Draw what blocks put out or add, and its share of their output: median and range over seeds.

    Args:
        responses: Arm -> depth -> (seeds, blocks) standard deviations; the deepest are drawn.
        shares: Likewise, ratios to the outputs' standard deviations; arms of ones are left out.
        title: Title of the figure.
    """
    figure = Figure(figsize=(10, 4.3), layout="constrained")
    figure.suptitle(f"The blocks' responses after training.  {title}", fontsize=9)
    left, right = figure.subplots(1, 2)
    for arm, by_depth in responses.items():
        depth = max(by_depth)
        _by_block(left, by_depth[depth], ARM_COLORS[arm], "-", f"{arm}, {depth}")
    for arm, by_depth in shares.items():
        for style, depth in zip("-:", sorted({max(by_depth), min(by_depth)})[::-1], strict=False):
            if np.ptp(by_depth[depth]):
                color = ARM_COLORS[arm]
                _by_block(right, by_depth[depth], color, style, f"{arm}, {depth}")
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


def _by_block(axes: Axes, values: np.ndarray, color: str, style: str, label: str) -> None:
    places = np.linspace(0, 1, values.shape[1])
    axes.plot(places, np.median(values, axis=0), style, color=color, label=label, linewidth=1.6)
    axes.fill_between(
        places, values.min(axis=0), values.max(axis=0), color=color, alpha=0.12, linewidth=0
    )
