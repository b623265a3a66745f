"""The trainability study's figures: the phase diagram, and depth transfer."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.trainability.claims import best_rates, boundaries, phase_losses, transfer_losses
from experiments.trainability.config import LABELS, PHASES, SCALES, Config, expected_depths
from jaxseg.analysis import mean_field
from jaxseg.plots import CYCLE, PAGE, headline, tidy
from jaxseg.studies import Row

CAPTIONS = {
    "phase_diagram.png": "The training loss of tanh nets by weight variance and depth. Circles: "
    "the depth that still trains, with its range over the seeds. Dashed: six depth scales of "
    "mean-field theory, nothing fitted.",
    "depth_transfer.png": "The training loss of residual nets by learning rate, a line a depth, "
    "for three scales of the branches; right: each seed's best rate by depth.",
}
EDGE, THEORY, NOTE = "#111111", "#d1495b", "#777777"
ARM_STYLES = ((CYCLE[3], "o"), (CYCLE[0], "s"), (CYCLE[4], "^"))
"""Color and marker of each arm of depth transfer."""
INFINITE = 1e9
"""Depth that is drawn where the expected one is infinite: far above any axis."""


def draw(config: Config, rows: Sequence[Row], chance: float) -> dict[str, Figure]:
    """Draw the study's figures: file name -> figure.

    Args:
        config: The study's configuration.
        rows: Rows of results.csv of the runs that it names.
        chance: The loss of knowing nothing, in nats.
    """
    transfer, best = {}, {}
    for block_layers in config.block_layers:
        kind = f"{block_layers}-layer blocks"
        arms = {
            LABELS[arm]: [
                row
                for row in rows
                if (row["part"], row["arm"], row["block_layers"]) == ("transfer", arm, block_layers)
            ]
            for arm in SCALES
        }
        transfer[kind] = {arm: transfer_losses(config, runs) for arm, runs in arms.items()}
        best[kind] = {arm: best_rates(config, runs)[1] for arm, runs in arms.items()}
    phase = {LABELS[arm]: phase_losses(config, rows, arm) for arm in PHASES}
    return {
        "phase_diagram.png": phase_diagram(config, phase, chance),
        "depth_transfer.png": depth_transfer(config, transfer, best, chance),
    }


def phase_diagram(config: Config, losses: Mapping[str, np.ndarray], chance: float) -> Figure:
    """Draw the loss by weight variance and depth, a panel an arm, with the depth that trains.

    Args:
        config: The study's configuration.
        losses: Arm -> (depths, weight variances, seeds) in nats; the theory is of the first arm.
        chance: The loss of knowing nothing, in nats; a net trains below half of it.
    """
    figure = Figure(figsize=(PAGE, 4.3), layout="constrained")
    headline(
        figure,
        f"Which depths train?  tanh nets of width {config.width}, biases of variance "
        f"{config.bias_variance:g}, {config.steps} steps, {config.seeds} seeds",
    )
    panels = figure.subplots(1, len(losses), sharey=True, squeeze=False)[0]
    sides = _edges(np.asarray(config.weight_variances, float))
    floors = 2 ** _edges(np.log2(config.depths))
    for axes, (arm, values) in zip(panels, losses.items(), strict=True):
        medians = np.minimum(np.median(values, axis=-1), chance)
        mesh = axes.pcolormesh(sides, floors, medians, cmap="YlGnBu_r", vmin=0, vmax=chance)
        _boundary(axes, config, boundaries(config, values, chance))
        axes.set(xlabel=r"weight variance $\sigma_w^2$", yscale="log")
        axes.set(ylim=floors[[0, -1]], xlim=sides[[0, -1]])
        axes.set_title(arm)
        tidy(axes)
        axes.set_yticks(list(config.depths), [str(depth) for depth in config.depths])
        axes.minorticks_off()
    _theory(panels[0], config)
    panels[0].set_ylabel("depth (layers)", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    bar = figure.colorbar(mesh, ax=panels[-1])
    bar.set_label("training loss at the best rate (nats)", fontsize=8)
    bar.ax.tick_params(labelsize=7.5)
    for level in (chance / 2, chance):
        bar.ax.axhline(level, color=EDGE, linewidth=1)
    bar.set_ticks([0, chance / 2, chance], labels=["0", "½ ln K", "ln K"])
    return figure


def _edges(middles: np.ndarray) -> np.ndarray:
    """Place the borders of cells about their middles, of which there may be only one."""
    if len(middles) == 1:
        return np.array([middles[0] - 0.5, middles[0] + 0.5])
    inner = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[2 * middles[0] - inner[0]], inner, [2 * middles[-1] - inner[-1]]])


def _boundary(axes: Axes, config: Config, boundary: np.ndarray) -> None:
    """Draw median and range over seeds; a triangle where the deepest net tried still trains."""
    low, middle, high = boundary
    x, spread = np.asarray(config.weight_variances), high > low
    # Black on white, to be seen on any color.
    for color, width in (("white", 3), (EDGE, 1)):
        axes.errorbar(
            x[spread],
            middle[spread],
            yerr=[(middle - low)[spread], (high - middle)[spread]],
            fmt="none",
            ecolor=color,
            elinewidth=width,
            capsize=3,
            capthick=1,
        )
    above = middle >= config.depths[-1]
    for mark, where, label in (
        ("o", ~above, "measured: loss reaches ½ ln K (range over seeds)"),
        ("^", above, "measured: all depths train"),
    ):
        style = {"color": "white", "markeredgecolor": EDGE, "markersize": 7}
        axes.plot(x[where], middle[where], mark, label=label, **style)


def _theory(axes: Axes, config: Config) -> None:
    """Draw six depth scales and the weight variance between order and chaos."""
    where = np.linspace(min(config.weight_variances) - 0.3, max(config.weight_variances) + 0.4, 240)
    where = where[where > 0.05]
    expected = expected_depths(config, where.tolist())
    shown = np.where(np.isfinite(expected), expected, INFINITE)
    axes.plot(where, shown, "--", color=THEORY, linewidth=2, label=r"theory: $6\,\xi_c$")
    critical = mean_field.critical_weight_variance(config.bias_variance)
    label = rf"theory: order | chaos, $\sigma_w^2={critical:.3f}$"
    axes.axvline(critical, color=THEORY, linestyle=":", linewidth=1.2, label=label)


def depth_transfer(
    config: Config,
    losses: Mapping[str, Mapping[str, np.ndarray]],
    best: Mapping[str, Mapping[str, np.ndarray]],
    chance: float,
) -> Figure:
    """Draw the loss against the learning rate for each depth, and the best rate against depth.

    Args:
        config: The study's configuration.
        losses: Kind of block -> arm -> (depths, rates, seeds) in nats; not finite where diverged.
        best: Kind of block -> arm -> (depths, seeds) log2 of each seed's best rate; NaN where all
            rates diverge.
        chance: The loss of knowing nothing, in nats.
    """
    columns = len(next(iter(losses.values()))) + 1
    figure = Figure(figsize=(PAGE, 1.3 + 2.2 * len(losses)), layout="constrained")
    headline(
        figure,
        f"Does the best learning rate move with depth?  ReLU nets of width {config.block_width}, "
        f"{config.block_steps} steps, median and range of {config.block_seeds} seeds",
    )
    grid = figure.subplots(len(losses), columns, sharex="col", squeeze=False)
    for row, (kind, by_arm) in zip(grid, losses.items(), strict=True):
        for axes, (arm, values) in zip(row, by_arm.items(), strict=False):
            _rates(axes, config, values, chance)
            axes.set_title(f"{kind},\n{arm}")
        row[0].set_ylabel("training loss (nats)")
        _best(row[-1], config, best[kind])
        row[-1].set_title(f"{kind}:\neach seed's best rate")
    for axes in grid[-1, :-1]:
        axes.set_xlabel(r"$\log_2$ learning rate")
    grid[-1, -1].set_xlabel("depth (blocks)")
    for axes in grid.flat:
        tidy(axes, size=7.5)
    handles, labels = [], []
    for axes in (grid[0, 0], grid[0, -1]):
        for collected, more in zip(
            (handles, labels), axes.get_legend_handles_labels(), strict=True
        ):
            collected += more
    figure.legend(handles, labels, fontsize=8, frameon=False, ncols=4, loc="outside lower center")
    return figure


def _rates(axes: Axes, config: Config, values: np.ndarray, chance: float) -> None:
    """Draw median and range over seeds; above chance a cross where half of the seeds diverge."""
    x, ceiling = np.sort(np.log2(config.block_learning_rates)), 1.12 * chance
    depths = config.block_depths
    shades = colormaps["viridis"](np.linspace(0.0, 0.85, len(depths)))
    for number, (depth, runs, color) in enumerate(zip(depths, values, shades, strict=True)):
        middle = np.median(np.where(np.isfinite(runs), runs, np.inf), axis=1)
        diverged = ~np.isfinite(middle)
        shown = np.where(diverged, np.nan, np.minimum(middle, ceiling))
        axes.plot(x, shown, "-", color=color, linewidth=1.6, label=f"{depth} blocks")
        low, high = (np.minimum(f(runs, axis=1), ceiling) for f in (np.min, np.max))
        axes.fill_between(x, low, high, where=~diverged, color=color, alpha=0.15, linewidth=0)
        if not diverged.all():
            least = int(np.argmin(middle))
            style = {"color": color, "markersize": 6, "markeredgecolor": "white", "zorder": 4}
            axes.plot(x[least], middle[least], "o", **style)
        height = np.full(diverged.sum(), chance * (1.2 + 0.07 * number))
        axes.plot(x[diverged], height, "x", color=color, markersize=4)
    axes.plot([], [], "o", color=NOTE, label="best rate")
    axes.plot([], [], "x", color=NOTE, label="diverged")
    axes.axhline(chance, color="black", linestyle=":", linewidth=1, label="chance, ln K")
    axes.set_yticks(np.arange(0, chance, 0.2))
    axes.set(ylim=(0, chance * (1.27 + 0.07 * len(depths))), xlim=(x[0] - 0.5, x[-1] + 0.5))


def _best(axes: Axes, config: Config, best: Mapping[str, np.ndarray]) -> None:
    """Draw median and range over seeds of the best rate; an arm stops where it has none."""
    depths = np.asarray(config.block_depths)
    for number, ((arm, rates), (color, mark)) in enumerate(
        zip(best.items(), ARM_STYLES, strict=False)
    ):
        kept = np.isfinite(rates).all(axis=1)
        x, rates = depths[kept] * 2 ** (0.12 * (number - 1)), rates[kept]
        middle = np.median(rates, axis=1)
        spread = [middle - rates.min(axis=1, initial=99), rates.max(axis=1, initial=-99) - middle]
        style = {"fmt": f"{mark}-", "color": color, "capsize": 2, "markersize": 5}
        axes.errorbar(x, middle, yerr=spread, label=arm, **style)
    tried = np.log2(config.block_learning_rates)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(depths), [str(depth) for depth in depths])
    axes.set(ylim=(tried.min() - 0.7, tried.max() + 0.7), ylabel=r"$\log_2$ rate")
