"""Activations and gradients by layer, their correlations by depth, and the spread of their logs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

Rows = Sequence[Mapping[str, Any]]
STYLES = {
    "plain": ("#c1272d", "o", "plain"),
    "plain_norm": ("#f08c2e", "s", "plain, batch norm"),
    "residual": ("#7b5ea7", "^", "residual"),
    "residual_scaled": ("#0b5fa5", "D", r"residual, branches $/\sqrt{L}$"),
    "residual_norm": ("#2a9d8f", "v", "residual, batch norm"),
    "residual_zero": ("#555555", "P", "residual, branches 0"),
}
FORWARD, BACKWARD = "#0b5fa5", "#c1272d"
LN10 = np.log(10)


def signal_profiles(rows: Rows, *, title: str = "") -> Figure:
    """Size and likeness of activations and gradients at every layer: measured, and theory dashed.

    Args:
        rows: "arm", "quantity" ("log_moment", "log_gradient": natural logs; "correlation",
            "gradient_correlation"), "at" (layer), "mean", "sd" and "theory".
        title: of the figure.
    """
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    figure.suptitle(title, fontsize=10)
    (size, zoomed, moment), (alike, gradients, legend) = figure.subplots(2, 3)
    for axes, quantity in (
        (size, "log_gradient"),
        (zoomed, "log_gradient"),
        (moment, "log_moment"),
    ):
        _lines(axes, rows, quantity, 1 / LN10)
    for axes, quantity in ((alike, "correlation"), (gradients, "gradient_correlation")):
        _lines(axes, rows, quantity, 1.0)
    ylabel = r"$\log_{10}\ \|dE/dx_l\|\,/\,\|dE/dx_L\|$"
    size.set(ylabel=ylabel, title="gradient norm")
    zoomed.set(ylabel=ylabel, title="gradient norm, near 1", ylim=(-0.75, 1.75))
    moment.set(ylabel=r"$\log_{10}$ mean square of $x_l$", title="activations", ylim=(-1.2, 4.2))
    alike.set(ylabel="cosine of two inputs' $x_l$", title="correlation of activations")
    gradients.set(ylabel="cosine of two inputs' $dE/dx_l$", title="correlation of gradients")
    for axes in (size, zoomed, moment, alike, gradients):
        axes.set_xlabel("layer $l$ (0 is the input)")
        axes.title.set_fontsize(9)
        axes.spines[["top", "right"]].set_visible(False)
    legend.axis("off")
    legend.legend(
        handles=_handles(rows, "mean over seeds, ± standard deviation"),
        fontsize=9,
        frameon=False,
        loc="center",
    )
    return figure


def _lines(axes: Axes, rows: Rows, quantity: str, unit: float) -> None:
    for arm, (colour, *_) in STYLES.items():
        at, mean, sd, theory = _columns(rows, arm, quantity)
        if not len(at):
            continue
        axes.plot(at, unit * mean, color=colour, linewidth=2.2, alpha=0.75)
        axes.fill_between(
            at, unit * (mean - sd), unit * (mean + sd), color=colour, alpha=0.13, linewidth=0
        )
        axes.plot(at, unit * theory, "--", color="black", linewidth=0.9)


def _columns(rows: Rows, arm: str, quantity: str) -> np.ndarray:
    chosen = [r for r in rows if (r["arm"], r["quantity"]) == (arm, quantity)]
    return np.array([[r[k] for r in chosen] for k in ("at", "mean", "sd", "theory")], float)


def _handles(rows: Rows, measured: str, *, marks: bool = False) -> list[Line2D]:
    there = {row["arm"] for row in rows}
    return [
        Line2D(
            [],
            [],
            color=colour,
            marker=mark if marks else "",
            linewidth=0 if marks else 2.2,
            label=name,
        )
        for arm, (colour, mark, name) in STYLES.items()
        if arm in there
    ] + [
        Line2D(
            [],
            [],
            color="#999999",
            marker="o" if marks else "",
            linewidth=0 if marks else 2.2,
            label=measured,
        ),
        Line2D(
            [],
            [],
            color="black",
            linestyle="--",
            linewidth=0.9,
            label="theory of wide nets, nothing fitted",
        ),
    ]


def shattering(
    depths: Rows, angles: Rows, *, layers: int, wide_to: float | None = None, title: str = ""
) -> Figure:
    """How alike gradients at two inputs are: by depth, and by the angle between the inputs.

    Args:
        depths: "arm", "quantity" ("gradient_correlation"), "at" (layers), "mean", "sd", "theory",
            "seeds", for inputs that are uncorrelated. Means within two standard errors of 0 are
            left out.
        angles: likewise, "at" in radians.
        layers: depth of the nets of `angles`.
        wide_to: depth up to which the theory of wide nets can be expected to hold.
        title: of the figure.
    """
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    left, right = figure.subplots(1, 2)
    for axes, rows in ((left, depths), (right, angles)):
        for arm, (colour, mark, _) in STYLES.items():
            at, mean, sd, theory = _columns(rows, arm, "gradient_correlation")
            if not len(at):
                continue
            error = 2 * sd / np.sqrt(next(r["seeds"] for r in rows if r["arm"] == arm))
            # On the logarithmic axis nothing that cannot be told from 0.
            seen = (mean > error) | (axes is right)
            axes.errorbar(
                at[seen],
                mean[seen],
                error[seen],
                fmt=mark,
                color=colour,
                markersize=5,
                elinewidth=1,
                capsize=2,
                markerfacecolor="white",
            )
            axes.plot(at, theory, "--", color=colour, linewidth=1.1)
        axes.set_xscale("log", base=2 if axes is left else 10)
        axes.grid(linewidth=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    _guides(left, depths)
    if wide_to is not None:
        left.axvline(wide_to, color="#777777", linestyle=":", linewidth=1)
        left.annotate(
            "from here on\nfinite width tells",
            (wide_to, 1.4e-4),
            xytext=(-5, 0),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="#555555",
        )
    left.set(
        xlabel="depth $L$ (layers)",
        ylabel="correlation of gradients at the input",
        ylim=(1e-4, 1.3),
    )
    left.set_title("two unlike inputs", fontsize=9)
    right.set(
        xlabel="angle between the inputs (radians)",
        ylim=(-0.06, 1.06),
        ylabel="correlation of gradients at the input",
    )
    right.set_title(f"two near inputs, {layers} layers", fontsize=9)
    handles = _handles([*depths, *angles], "measured, ± 2 standard errors", marks=True)
    figure.legend(handles=handles, fontsize=8, frameon=False, ncols=4, loc="outside lower center")
    return figure


def _guides(axes: Axes, rows: Rows) -> None:
    """Powers of depth beside the exponential."""
    at = np.array(sorted({r["at"] for r in rows}), float)
    axes.set_yscale("log")
    axes.set_xticks(at, [f"{a:g}" for a in at])
    if len(at) < 2:
        return
    end = at[-2:]
    for arm, power, name in (("plain", -3, "$L^{-3}$"), ("residual_norm", -0.733, "$L^{-.73}$")):
        theory = _columns(rows, arm, "gradient_correlation")[3]
        if len(theory):
            line = 0.62 * theory[-2] * (end / end[0]) ** power
            axes.plot(end, line, "-", color="black", linewidth=0.8)
            axes.annotate(
                name,
                (end[0], line[0]),
                xytext=(-4, -2),
                textcoords="offset points",
                ha="right",
                va="top",
                fontsize=8,
            )
    if any(row["arm"] == "plain_norm" for row in rows) and at[-1] >= 4:
        axes.annotate(
            "$2^{-L}$",
            (4, 2.0**-4),
            xytext=(-6, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
        )


def log_growth(
    logs: Mapping[str, np.ndarray], normals: Mapping[str, tuple[float, float]], *, title: str = ""
) -> Figure:
    """Histograms of logs over seeds, and the normals that theory expects.

    Args:
        logs: "forward" and "gradient" -> ln of a squared norm's growth, a seed each.
        normals: name -> mean and variance.
        title: of the figure.
    """
    figure = Figure(figsize=(9.4, 3.9), layout="constrained")
    figure.suptitle(title, fontsize=10)
    row = figure.subplots(1, len(logs), squeeze=False, sharex=True, sharey=True)[0]
    names = {
        "forward": (FORWARD, r"$\ln\ |x_L|^2 / |x_0|^2$"),
        "gradient": (BACKWARD, r"$\ln\ \|dE/dx_0\|^2 / \|dE/dx_L\|^2$"),
    }
    for axes, (name, values) in zip(row, logs.items(), strict=True):
        colour, label = names.get(name, ("#555555", name))
        values = values[np.isfinite(values)]
        axes.hist(
            values,
            bins=max(8, min(60, len(values) // 20)),
            density=True,
            color=colour,
            alpha=0.4,
            label=f"measured: mean {values.mean():.2f}, variance {values.var():.2f}",
        )
        at = np.linspace(values.min(), values.max(), 300)
        for (which, (mean, variance)), style in zip(normals.items(), ("--", ":"), strict=False):
            density = np.exp(-((at - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
            axes.plot(
                at,
                density,
                style,
                color="black",
                linewidth=1.3,
                label=f"{which}: {mean:.2f} and {variance:.2f}",
            )
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7.5, frameon=False, loc="upper left")
    # Room for the legends: the axes share their limits.
    row[0].set_ylim(0, 1.35 * row[0].get_ylim()[1])
    row[0].set_ylabel("density over seeds")
    return figure
