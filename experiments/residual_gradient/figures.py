"""The residual_gradient study's figures: profiles, shattering, and the spread of logarithms."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.residual_gradient.claims import widest_depth
from experiments.residual_gradient.config import LABELS, Config
from jaxseg.analysis import finite_width
from jaxseg.plots import CYCLE, NEUTRAL, PAGE, headline, plain_log_scale, tidy
from jaxseg.studies import Row

CAPTIONS = {
    "layer_by_layer.png": "Gradient norms, activations and their correlations, layer by layer, of "
    "random nets: mean and standard deviation over the seeds, theory dashed, nothing fitted.",
    "shattering.png": "The correlation of the gradients at two inputs: left, of unlike inputs by "
    "the depth of the net; right, of near ones by the angle between them. Only batch norm without "
    "shortcuts shatters as 2⁻ᴸ.",
    "log_norms.png": "The size of what a net carries differs from seed to seed: its logarithm is "
    "close to normal. Left: features; right: the gradient. Dashed and dotted: theory.",
}
STYLES = {
    "plain": (CYCLE[0], "o"),
    "plain_norm": (CYCLE[1], "s"),
    "residual": (CYCLE[2], "^"),
    "residual_scaled": (CYCLE[3], "D"),
    "residual_norm": (CYCLE[4], "v"),
    "residual_zero": (NEUTRAL, "P"),
}
"""Arm -> color, marker."""
MEASURED, GUIDE = "#999999", "black"
LOGARITHMS = {
    "forward": (CYCLE[3], r"$\ln\ |x_L|^2 / |x_0|^2$"),
    "gradient": (CYCLE[0], r"$\ln\ \|dE/dx_0\|^2 / \|dE/dx_L\|^2$"),
}
"""Column of log_growth.csv -> color, label."""
LN10 = np.log(10)


def draw(
    config: Config, rows: Sequence[Row], logs: Mapping[str, np.ndarray], *, seeds: int
) -> dict[str, Figure]:
    """Draw the study's figures: file name -> figure.

    Args:
        config: The study's configuration.
        rows: Rows of results.csv.
        logs: "forward" and "gradient" -> ln of the squared norm's growth, one a seed.
        seeds: Seeds of the profiles, for the titles.
    """
    profiles, depths, angles = (
        [row for row in rows if row["part"] == part] for part in ("profiles", "depths", "neighbors")
    )
    title = f"width {config.width}, {config.examples} examples, {seeds} seeds"
    width, layers = config.narrow_width, config.narrow_layers
    normals = {
        "normal of $-5L/2n$ and $5L/n$": finite_width.he_log_moments(width, layers),
        "normal of the exact moments": finite_width.he_log_moments_exact(width, layers),
    }
    return {
        "layer_by_layer.png": signal_profiles(profiles, title=f"Random nets by layer: {title}"),
        "shattering.png": shattering(
            depths,
            angles,
            layers=config.neighbor_layers,
            wide_to=widest_depth(config.width),
            title=f"Shattered gradients: {title}",
        ),
        "log_norms.png": log_growth(
            logs,
            normals,
            title=f"Plain nets, {layers} layers of width {width}: {len(logs['forward'])} seeds",
        ),
    }


def signal_profiles(rows: Sequence[Row], *, title: str) -> Figure:
    """Draw size and correlation of activations and gradients at every layer, theory dashed.

    Args:
        rows: "arm", "quantity" ("log_moment", "log_gradient", natural logarithms; "correlation",
            "gradient_correlation"), "at" (layer), "mean", "sd" and "theory".
        title: Title of the figure.
    """
    figure = Figure(figsize=(PAGE, 5.4), layout="constrained")
    headline(figure, title)
    (size, zoomed, moment), (activations, gradients, legend) = figure.subplots(2, 3)
    for axes, quantity in (
        (size, "log_gradient"),
        (zoomed, "log_gradient"),
        (moment, "log_moment"),
    ):
        _lines(axes, rows, quantity, 1 / LN10)
    for axes, quantity in ((activations, "correlation"), (gradients, "gradient_correlation")):
        _lines(axes, rows, quantity, 1.0)
    ylabel = r"$\log_{10}\ \|dE/dx_l\|\,/\,\|dE/dx_L\|$"
    size.set(ylabel=ylabel, title="gradient norm")
    zoomed.set(ylabel=ylabel, title="gradient norm, near 1", ylim=(-0.75, 1.75))
    moment.set(ylabel=r"$\log_{10}$ mean square of $x_l$", title="activations", ylim=(-1.2, 4.2))
    activations.set(ylabel="cosine of two inputs' $x_l$", title="correlation of activations")
    gradients.set(ylabel="cosine of two inputs' $dE/dx_l$", title="correlation of gradients")
    for axes in (size, zoomed, moment, activations, gradients):
        axes.set_xlabel("layer $l$ (0 is the input)")
        tidy(axes, size=7.5)
    legend.axis("off")
    handles = _handles(rows, "mean over the seeds,\n± standard deviation")
    legend.legend(handles=handles, fontsize=7.5, frameon=False, loc="center")
    return figure


def _lines(axes: Axes, rows: Sequence[Row], quantity: str, unit: float) -> None:
    """Draw mean, standard deviation and theory of each arm, times `unit`."""
    for arm, (color, *_) in STYLES.items():
        at, mean, sd, theory = _columns(rows, arm, quantity)
        if not len(at):
            continue
        axes.plot(at, unit * mean, color=color, linewidth=2.2, alpha=0.75)
        low, high = unit * (mean - sd), unit * (mean + sd)
        axes.fill_between(at, low, high, color=color, alpha=0.13, linewidth=0)
        axes.plot(at, unit * theory, "--", color=GUIDE, linewidth=0.9)


def _columns(rows: Sequence[Row], arm: str, quantity: str) -> np.ndarray:
    """Collect "at", "mean", "sd" and "theory" of an arm: (4, places)."""
    chosen = [row for row in rows if (row["arm"], row["quantity"]) == (arm, quantity)]
    return np.array([[r[name] for r in chosen] for name in ("at", "mean", "sd", "theory")], float)


def _handles(rows: Sequence[Row], measured: str, *, marks: bool = False) -> list[Line2D]:
    """Make the legend's handles: the arms at hand, then what is measured, then theory."""
    width = 0.0 if marks else 2.2
    arms = {row["arm"] for row in rows}
    styles = [(*style, LABELS[arm]) for arm, style in STYLES.items() if arm in arms]
    return [
        *(
            Line2D([], [], color=color, marker=mark if marks else "", linewidth=width, label=label)
            for color, mark, label in (*styles, (MEASURED, "o", measured))
        ),
        Line2D(
            [],
            [],
            color=GUIDE,
            linestyle="--",
            linewidth=0.9,
            label="theory of wide nets,\nnothing fitted",
        ),
    ]


def shattering(
    depths: Sequence[Row],
    angles: Sequence[Row],
    *,
    layers: int,
    wide_to: float | None = None,
    title: str,
) -> Figure:
    """Draw the correlation of gradients at two inputs: by depth, and by the angle between them.

    Args:
        depths: "arm", "quantity" ("gradient_correlation"), "at" (layers), "mean", "sd", "theory",
            "seeds", for inputs that are uncorrelated. Means within two standard errors of 0 are
            left out.
        angles: Likewise, with "at" in radians.
        layers: Depth of the nets of `angles`.
        wide_to: Depth up to which the theory of wide nets can be expected to hold.
        title: Title of the figure.
    """
    figure = Figure(figsize=(PAGE, 4.4), layout="constrained")
    headline(figure, title)
    left, right = figure.subplots(1, 2)
    for axes, rows in ((left, depths), (right, angles)):
        # On the logarithmic axis nothing is drawn that cannot be told from 0.
        _correlations(axes, rows, positive=axes is left)
        axes.set_xscale("log", base=2 if axes is left else 10)
        tidy(axes)
    _guides(left, depths)
    if wide_to is not None:
        left.axvline(wide_to, color="#777777", linestyle=":", linewidth=1)
        _note(
            left, "theory of wide nets\nholds up to here", (wide_to, 1.4e-4), (-5, 0), va="bottom"
        )
    ylabel = "correlation of gradients at the input"
    left.set(xlabel="depth $L$ (layers)", ylabel=ylabel, ylim=(1e-4, 1.3))
    left.set_title("two unlike inputs", fontsize=8.5)
    plain_log_scale(right, "x")
    right.set(xlabel="angle between the inputs (radians)", ylabel=ylabel, ylim=(-0.06, 1.06))
    right.set_title(f"two near inputs, {layers} layers", fontsize=8.5)
    handles = _handles([*depths, *angles], "measured, ± 2 standard errors", marks=True)
    figure.legend(handles=handles, fontsize=7.5, frameon=False, ncols=3, loc="outside lower center")
    return figure


def _correlations(axes: Axes, rows: Sequence[Row], *, positive: bool) -> None:
    """Draw means with two standard errors, and theory; only what is above 0 if `positive`."""
    for arm, (color, mark) in STYLES.items():
        at, mean, sd, theory = _columns(rows, arm, "gradient_correlation")
        if not len(at):
            continue
        error = 2 * sd / np.sqrt(next(row["seeds"] for row in rows if row["arm"] == arm))
        shown = mean > error if positive else np.full(len(at), True)
        axes.errorbar(
            at[shown],
            mean[shown],
            error[shown],
            fmt=mark,
            color=color,
            markersize=5,
            elinewidth=1,
            capsize=2,
            markerfacecolor="white",
        )
        axes.plot(at, theory, "--", color=color, linewidth=1.1)
    axes.grid(linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _guides(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw powers of depth, and name the exponential."""
    at = np.array(sorted({row["at"] for row in rows}), float)
    plain_log_scale(axes)
    axes.set_xticks(at, [f"{a:g}" for a in at])
    axes.xaxis.minorticks_off()
    if len(at) < 2:
        return
    end = at[-2:]
    for arm, power, name in (("plain", -3, "$L^{-3}$"), ("residual_norm", -0.733, "$L^{-.73}$")):
        theory = _columns(rows, arm, "gradient_correlation")[3]
        if len(theory):
            line = 0.62 * theory[-2] * (end / end[0]) ** power
            axes.plot(end, line, "-", color=GUIDE, linewidth=0.8)
            _note(axes, name, (end[0], line[0]), (-4, -2))
    if any(row["arm"] == "plain_norm" for row in rows) and at[-1] >= 4:
        _note(axes, "$2^{-L}$", (4, 2.0**-4), (-6, -4))


def _note(
    axes: Axes, text: str, at: tuple[float, float], offset: tuple[int, int], *, va: str = "top"
) -> None:
    """Write a text to the left of a point, `offset` (points) from it."""
    axes.annotate(
        text, at, xytext=offset, textcoords="offset points", ha="right", va=va, fontsize=8
    )


def log_growth(
    logs: Mapping[str, np.ndarray], normals: Mapping[str, tuple[float, float]], *, title: str
) -> Figure:
    """Draw histograms of logarithms over seeds, and the normal densities that theory expects.

    Args:
        logs: "forward" and "gradient" -> ln of a squared norm's growth, one a seed.
        normals: Name -> mean and variance.
        title: Title of the figure.
    """
    figure = Figure(figsize=(PAGE, 3.9), layout="constrained")
    headline(figure, title)
    row = figure.subplots(1, len(logs), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (name, values) in zip(row, logs.items(), strict=True):
        color, label = LOGARITHMS[name]
        values = values[np.isfinite(values)]
        axes.hist(
            values,
            bins=max(8, min(60, len(values) // 20)),
            density=True,
            color=color,
            alpha=0.4,
            label=f"measured: mean {values.mean():.2f}, variance {values.var():.2f}",
        )
        at = np.linspace(values.min(), values.max(), 300)
        for (which, (mean, variance)), style in zip(normals.items(), ("--", ":"), strict=False):
            density = np.exp(-((at - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
            text = f"{which}: {mean:.2f} and {variance:.2f}"
            axes.plot(at, density, style, color=GUIDE, linewidth=1.3, label=text)
        axes.set_xlabel(label)
        tidy(axes)
        axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    row[0].set_ylabel("density over the seeds", fontsize=8)
    return figure
