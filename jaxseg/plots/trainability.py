"""How deep random nets train, and how fast they may learn at each depth."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

EDGE, THEORY = "#111111", "#d1495b"
STYLES = (("#0b5fa5", "o"), ("#c1272d", "s"), ("#3a8f5c", "^"), ("#8c6bb1", "D"))


def phase_diagram(
    *,
    losses: Mapping[str, np.ndarray],
    weight_variances: Sequence[float],
    depths: Sequence[int],
    chance: float,
    boundary: Mapping[str, np.ndarray],
    theory: tuple[np.ndarray, np.ndarray],
    critical: float,
    title: str,
) -> Figure:
    """Training loss by weight variance and depth, a panel an arm, with the depth that trains.

    Args:
        losses: arm -> (depths, weight variances) in nats; the first arm is the one theory is of.
        weight_variances: sigma_w**2, rising, two or more.
        depths: in layers, rising, two or more.
        chance: the loss of knowing nothing, in nats; a net trains below half of it.
        boundary: arm -> (3, weight variances): least, median and largest over the seeds of the
            depth to which nets train.
        theory: weight variances and the depths expected there, drawn dashed; they may be infinite.
        critical: the weight variance between order and chaos.
        title: of the figure.
    """
    figure = Figure(figsize=(10.4, 4.8), layout="constrained")
    figure.suptitle(title, fontsize=10)
    row = figure.subplots(1, len(losses), sharey=True, squeeze=False)[0]
    sides, floors = _edges(np.asarray(weight_variances)), 2 ** _edges(np.log2(depths))
    for number, (axes, (arm, values)) in enumerate(zip(row, losses.items(), strict=True)):
        mesh = axes.pcolormesh(
            sides, floors, np.minimum(values, chance), cmap="YlGnBu_r", vmin=0, vmax=chance
        )
        _boundary(axes, weight_variances, boundary[arm], depths[-1])
        if number == 0:
            where, expected = theory
            shown = np.where(np.isfinite(expected), expected, 1e9)
            axes.plot(where, shown, "--", color=THEORY, linewidth=2, label=r"theory: $6\,\xi_c$")
            axes.axvline(
                critical,
                color=THEORY,
                linestyle=":",
                linewidth=1.2,
                label=rf"theory: order | chaos, $\sigma_w^2={critical:.3f}$",
            )
        axes.set(
            xlabel=r"weight variance $\sigma_w^2$",
            yscale="log",
            ylim=floors[[0, -1]],
            xlim=sides[[0, -1]],
        )
        axes.set_title(arm, fontsize=9)
        axes.set_yticks(list(depths), [str(d) for d in depths])
        axes.minorticks_off()
    row[0].set_ylabel("depth (layers)")
    handles, labels = row[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    bar = figure.colorbar(mesh, ax=row[-1], label="training loss at the best rate (nats)")
    bar.ax.axhline(chance / 2, color=EDGE, linewidth=1)
    bar.ax.axhline(chance, color=EDGE, linewidth=1)
    bar.set_ticks([0, chance / 2, chance], labels=["0", "½ ln K", "ln K"])
    return figure


def _boundary(axes: Axes, weight_variances, boundary: np.ndarray, deepest: int) -> None:
    """Median and range over seeds; a triangle where the deepest net tried still trains."""
    low, middle, high = boundary
    x, spread = np.asarray(weight_variances), high > low
    # Black on white, to be seen on any colour.
    for colour, width in (("white", 3), (EDGE, 1)):
        axes.errorbar(
            x[spread],
            middle[spread],
            yerr=[(middle - low)[spread], (high - middle)[spread]],
            fmt="none",
            ecolor=colour,
            elinewidth=width,
            capsize=3,
            capthick=1,
        )
    above = middle >= deepest
    for mark, where, label in (
        ("o", ~above, "measured: loss reaches ½ ln K (range over seeds)"),
        ("^", above, "measured: all depths train"),
    ):
        axes.plot(
            x[where],
            middle[where],
            mark,
            color="white",
            markeredgecolor=EDGE,
            markersize=7,
            label=label,
        )


def depth_transfer(
    *,
    losses: Mapping[str, Mapping[str, np.ndarray]],
    best: Mapping[str, Mapping[str, np.ndarray]],
    log2_rates: Sequence[int],
    depths: Sequence[int],
    chance: float,
    title: str,
) -> Figure:
    """Training loss against the learning rate for each depth, and the best rate against depth.

    Args:
        losses: kind of block -> arm -> (depths, rates, seeds) in nats; not finite where diverged.
        best: kind of block -> arm -> (depths, seeds) log2 of each seed's best rate; NaN where all
            rates diverge.
        log2_rates: of gradient descent.
        depths: in blocks, rising.
        chance: the loss of knowing nothing, in nats.
        title: of the figure.
    """
    arms = list(next(iter(losses.values())))
    figure = Figure(figsize=(3.3 * (len(arms) + 1), 0.9 + 2.9 * len(losses)), layout="constrained")
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(len(losses), len(arms) + 1, sharex="col", squeeze=False)
    for row, (kind, by_arm) in zip(grid, losses.items(), strict=True):
        for axes, (arm, values) in zip(row, by_arm.items(), strict=False):
            _rates(axes, values, log2_rates, depths, chance)
            axes.set_title(f"{kind}, {arm}", fontsize=9)
        row[0].set_ylabel("training loss (nats)")
        _best(row[-1], best[kind], depths, log2_rates)
        row[-1].set_title(f"{kind}: each seed's best rate", fontsize=9)
    for axes in grid[-1, :-1]:
        axes.set_xlabel(r"$\log_2$ learning rate")
    grid[-1, -1].set_xlabel("depth (blocks)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower left", ncols=len(labels), fontsize=8, frameon=False
    )
    handles, labels = grid[0, -1].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower right", ncols=len(labels), fontsize=8, frameon=False
    )
    return figure


def _rates(axes: Axes, values: np.ndarray, log2_rates, depths, chance: float) -> None:
    """Median and range over seeds; above chance a cross a depth where half of the seeds diverge."""
    x, ceiling = np.asarray(log2_rates), 1.12 * chance
    shades = colormaps["viridis"](np.linspace(0.0, 0.85, len(depths)))
    for number, (depth, runs, colour) in enumerate(zip(depths, values, shades, strict=True)):
        middle = np.median(np.where(np.isfinite(runs), runs, np.inf), axis=1)
        lost = ~np.isfinite(middle)
        shown = np.where(lost, np.nan, np.minimum(middle, ceiling))
        axes.plot(x, shown, "-", color=colour, linewidth=1.6, label=f"{depth} blocks")
        low, high = (np.minimum(f(runs, axis=1), ceiling) for f in (np.min, np.max))
        axes.fill_between(x, low, high, where=~lost, color=colour, alpha=0.15, linewidth=0)
        if not lost.all():
            least = int(np.argmin(middle))
            axes.plot(
                x[least],
                middle[least],
                "o",
                color=colour,
                markersize=6,
                markeredgecolor="white",
                zorder=4,
            )
        height = chance * (1.2 + 0.07 * number)
        axes.plot(x[lost], np.full(lost.sum(), height), "x", color=colour, markersize=4)
    axes.plot([], [], "o", color="#777777", label="best rate")
    axes.plot([], [], "x", color="#777777", label="diverged")
    axes.axhline(chance, color="black", linestyle=":", linewidth=1, label="chance, ln K")
    axes.set_yticks(np.arange(0, chance, 0.2))
    axes.set(ylim=(0, chance * (1.27 + 0.07 * len(depths))), xlim=(x[0] - 0.5, x[-1] + 0.5))


def _best(axes: Axes, best: Mapping[str, np.ndarray], depths, log2_rates) -> None:
    """Median and range over seeds of the best rate; an arm stops where it has none."""
    for shift, ((arm, rates), (colour, mark)) in enumerate(zip(best.items(), STYLES, strict=False)):
        kept = np.isfinite(rates).all(axis=1)
        x, rates = np.asarray(depths)[kept] * 2 ** (0.12 * (shift - 1)), rates[kept]
        middle = np.median(rates, axis=1)
        spread = [middle - rates.min(axis=1, initial=99), rates.max(axis=1, initial=-99) - middle]
        axes.errorbar(
            x, middle, yerr=spread, fmt=f"{mark}-", color=colour, label=arm, capsize=2, markersize=5
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(depths), [str(d) for d in depths])
    axes.set(ylim=(min(log2_rates) - 0.7, max(log2_rates) + 0.7), ylabel=r"$\log_2$ rate")


def _edges(middles: np.ndarray) -> np.ndarray:
    """Borders of cells about their middles."""
    inner = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[2 * middles[0] - inner[0]], inner, [2 * middles[-1] - inner[-1]]])
