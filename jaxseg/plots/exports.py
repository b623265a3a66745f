"""Differences between a net and its exports."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

_POINTS = 4000


def export_parity(logits: np.ndarray, exported: Mapping[str, np.ndarray]) -> Figure:
    """Draw the differences of exported nets' logits: against the logits, and as a histogram.

    Args:
        logits: Logits of the net, of any shape.
        exported: Name of an export -> its logits, of the same shape.

    Raises:
        ValueError: Nothing was exported, or an export's logits have another shape.
    """
    for name, other in exported.items():
        if other.shape != logits.shape:
            raise ValueError(
                f"{name}: logits {other.shape} must have the net's shape {logits.shape}."
            )
    if not exported:
        raise ValueError(
            "export_parity: exported is empty: give the logits of at least one export."
        )
    net = np.asarray(logits, np.float64).ravel()
    differences = {
        name: np.abs(np.asarray(other, np.float64).ravel() - net)
        for name, other in exported.items()
    }
    least = np.spacing(np.float32(max(np.max(np.abs(net)), 1e-30)))  # of the largest logit
    most = max(max(d.max() for d in differences.values()), 4 * least)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = np.linspace(0, net.size - 1, min(net.size, _POINTS)).astype(int)
    edges = np.geomspace(least / 64, 2 * most, 40)
    for name, difference in differences.items():
        drawn = np.maximum(difference, least / 64)  # equal logits lie at the bottom
        label = f"{name}: at most {difference.max():.1e}"
        left.plot(net[shown], drawn[shown], ".", markersize=2, alpha=0.5, label=name)
        right.hist(
            drawn, edges, histtype="step", weights=np.full(net.size, 1 / net.size), label=label
        )
    left.set(xlabel="the net's logit", ylabel="absolute difference", yscale="log")
    right.set(xlabel="absolute difference", ylabel="share of logits", xscale="log")
    right.yaxis.set_major_formatter(PercentFormatter(1))
    left.axhline(least, color="gray", linewidth=0.8)
    right.axvline(least, color="gray", linewidth=0.8, label="float32 at the largest logit")
    right.legend(fontsize=7, frameon=False)
    return figure
