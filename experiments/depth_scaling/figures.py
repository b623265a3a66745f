"""The depth study's figures: losses against depth, curves, responses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.arms import ARM_COLORS
from experiments.depth_scaling.claims import (
    Best,
    curve_table,
    gradient_table,
    loss_table,
    prediction_strip,
)
from experiments.depth_scaling.config import ARMS, LABELS, Config
from experiments.depth_scaling.probes import theory
from jaxseg.plots import (
    CYCLE,
    NEUTRAL,
    PAGE,
    class_key,
    gradient_profile,
    headline,
    image_strip,
    plain_log_scale,
    tidy,
)
from jaxseg.studies import Row, Sweep

CAPTIONS = {
    "depth_scaling.png": "Left: the training loss against depth, median and range over the seeds. "
    "Right: the gradient that reaches each block before training, with theory dashed. Below: what "
    "the deepest nets predict on validation images that they never saw.",
    "curves.png": "The training loss of each arm's deepest nets, step by step at the best rate, a "
    "line a seed.",
    "responses.png": "After training. Left: what each block of the deepest nets puts out (plain) "
    "or adds (residual). Right: how much of its output that is, in the shallowest nets and in the "
    "deepest.",
}
BANDS = ("plain", "residual")
"""Arms whose range over the seeds is a band; more bands would hide each other."""


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
            class_names=sweep.dataset.info.class_names,
            title=title,
        ),
        "curves.png": training_curves(curve_table(sweep, best), chance, title=title),
        "responses.png": layer_responses(responses["response"], responses["share"], title=title),
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
    class_names: Sequence[str],
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
        class_names: A name a class.
        title: Title of the whole figure.
    """
    figure = Figure(figsize=(PAGE, 4.1 + 0.98 * len(strip)), layout="constrained")
    headline(figure, f"How deep can it be trained?\n{title}")
    upper, lower = figure.subfigures(  # type: ignore[misc]
        2, 1, height_ratios=(3.6, 0.5 + 0.98 * len(strip))
    )
    left, right = upper.subplots(1, 2)
    loss_against_depth(left, losses, chance)
    gradient_profile(
        right,
        {LABELS[arm]: norms for arm, norms in gradients.items()},
        {LABELS[arm]: line for arm, line in theory.items() if arm in LABELS},
        depth,
        {LABELS[arm]: color for arm, color in ARM_COLORS.items()},
        bands=[LABELS[arm] for arm in BANDS],
        legend=False,
    )
    right.set_title(f"Gradient before training, {depth} convolutions")
    right.set_ylabel("log₁₀ of the gradient in a block's input,\nrelative to the last block's")
    tidy(right)
    _legend(upper, left, right)
    image_strip(lower, strip, palette)
    lower.legend(
        handles=class_key(palette, class_names),
        fontsize=8,
        frameon=False,
        ncols=min(6, len(class_names)),
        loc="outside lower center",
    )
    return figure


def _legend(figure, left: Axes, right: Axes) -> None:
    """Draw one legend for both panels: the arms, the marks, and theory."""
    entries = {}
    for axes in (left, right):
        handles, labels = axes.get_legend_handles_labels()
        entries |= {
            label: handle
            for handle, label in zip(handles, labels, strict=True)
            if label not in entries
        }
    figure.legend(
        entries.values(),
        entries.keys(),
        fontsize=8,
        frameon=False,
        ncols=4,
        loc="outside lower center",
    )


def loss_against_depth(
    axes: Axes, losses: Mapping[str, Mapping[int, np.ndarray]], chance: float
) -> None:
    """Draw the median training loss against depth, its range over seeds, and the level of chance.

    The range of `BANDS` is a band, that of the others a bar. A median above the axis is drawn at
    its upper edge: a triangle if finite, else a cross.
    """
    drawn = set()
    for number, (arm, table) in enumerate(losses.items()):
        drawn |= _losses_of_arm(axes, arm, table, 1.25 * chance, number - (len(losses) - 1) / 2)
    for mark in sorted(drawn):
        label = {"^": "above the axis", "x": "diverged"}[mark]
        axes.plot([], [], mark, color=NEUTRAL, label=label)
    _chance_levels(axes, chance)
    depths = sorted({d for table in losses.values() for d in table})
    axes.set_xscale("log", base=2)
    axes.set_xticks(depths, [str(d) for d in depths])
    axes.minorticks_off()
    axes.set(
        xlabel="depth (convolutions)",
        ylabel="training loss at the best rate (nats)",
        ylim=(0, 1.3 * chance),
        title="Loss after training: median, range over seeds",
    )
    tidy(axes)


def _losses_of_arm(
    axes: Axes, arm: str, table: Mapping[int, np.ndarray], ceiling: float, beside: float
) -> set[str]:
    """Draw an arm's losses, bars `beside` their points; return the marks of those too high."""
    depths, color, drawn = np.array(sorted(table)), ARM_COLORS[arm], set()
    spread = np.array([(np.min(r), np.median(r), np.max(r)) for r in (table[d] for d in depths)])
    low, middle, high = np.minimum(spread, ceiling).T
    axes.plot(depths, middle, "o-", color=color, label=LABELS[arm], markersize=4)
    if arm in BANDS:
        axes.fill_between(depths, low, high, color=color, alpha=0.15, linewidth=0)
    else:
        axes.vlines(depths * 1.03**beside, low, high, color=color, linewidth=1)
    finite = np.isfinite(spread[:, 1])
    for mark, chosen in (("^", finite & (spread[:, 1] > ceiling)), ("x", ~finite)):
        at = depths[chosen]
        axes.plot(at, np.full(len(at), ceiling), mark, color=color, markersize=9)
        drawn |= {mark} if len(at) else set()
    return drawn


def _chance_levels(axes: Axes, chance: float) -> None:
    axes.axhline(chance, color="black", linestyle=":", linewidth=1, label="chance, ln K")
    axes.axhline(
        chance / 2,
        color="black",
        linestyle=(0, (6, 3)),
        linewidth=0.8,
        label="trainable below ½ ln K",
    )


def training_curves(
    curves: Mapping[tuple[str, int], Sequence[tuple[np.ndarray, np.ndarray]]],
    chance: float,
    *,
    title: str,
) -> Figure:
    """Draw the training loss against the step, a line a seed.

    Args:
        curves: (arm, depth) -> (steps, losses) of each seed. The seeds of a single arm have a color
            each, and the title names the arm.
        chance: The loss of knowing nothing, in nats.
        title: Title of the figure.
    """
    figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
    axes = figure.subplots()
    for (arm, depth), runs in curves.items():
        name = f"{LABELS[arm]}, {depth:,} convolutions"
        for number, (steps, losses) in enumerate(runs):
            color, label = ARM_COLORS[arm], name if number == 0 else None
            if len(curves) == 1:
                color, label = CYCLE[number % len(CYCLE)], f"seed {number}"
            axes.plot(steps, losses, color=color, alpha=0.8, linewidth=1.1, label=label)
    _chance_levels(axes, chance)
    axes.set(xlabel="step", ylabel="training loss (nats)", ylim=(0, 1.5 * chance))
    (arm, depth), *others = curves
    alone = "" if others else f"{LABELS[arm]}, {depth:,} convolutions\n"
    headline(figure, alone + title)
    tidy(axes)
    figure.legend(fontsize=8, frameon=False, ncols=4, loc="outside lower center")
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
    figure = Figure(figsize=(PAGE, 4.2), layout="constrained")
    headline(figure, f"The blocks' responses after training\n{title}")
    left, right = figure.subplots(1, 2)
    for arm, by_depth in responses.items():
        depth = max(by_depth)
        _by_block(left, by_depth[depth], ARM_COLORS[arm], "-", f"{LABELS[arm]}, {depth}")
    for arm, by_depth in shares.items():
        for style, depth in zip("-:", sorted({max(by_depth), min(by_depth)})[::-1], strict=False):
            if np.ptp(by_depth[depth]):
                color = ARM_COLORS[arm]
                _by_block(right, by_depth[depth], color, style, f"{LABELS[arm]}, {depth}")
    left.set_title("Standard deviation of what\na block puts out or adds")
    right.set_title("What a residual block adds,\nover its output (a plain one: 1)")
    for axes in (left, right):
        axes.set(xlabel="place in the net (0 is next to the image)")
        plain_log_scale(axes)
        tidy(axes)
        axes.legend(
            fontsize=7.5,
            frameon=False,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            ncols=2,
            title="arm, convolutions",
            title_fontsize=7.5,
        )
    left.set_ylabel("standard deviation")
    right.set_ylabel("share of the output's")
    return figure


def _by_block(axes: Axes, values: np.ndarray, color: str, style: str, label: str) -> None:
    places = np.linspace(0, 1, values.shape[1])
    axes.plot(places, np.median(values, axis=0), style, color=color, label=label, linewidth=1.6)
    axes.fill_between(
        places, values.min(axis=0), values.max(axis=0), color=color, alpha=0.12, linewidth=0
    )
