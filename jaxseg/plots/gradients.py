"""Gradients through depth."""

from collections.abc import Collection, Mapping

import numpy as np
from matplotlib.axes import Axes

from jaxseg.plots.style import NEUTRAL


def gradient_profile(
    axes: Axes,
    gradients: Mapping[str, np.ndarray],
    theory: Mapping[str, np.ndarray],
    depth: int,
    colors: Mapping[str, str],
    *,
    bands: Collection[str] | None = None,
    legend: bool = True,
) -> None:
    """Draw the gradient norm of each block's input over the last one's; theory is dashed.

    Args:
        axes: Where to draw.
        gradients: Arm -> (seeds, blocks) norms; median and range are drawn.
        theory: Arm -> (blocks,) log10 of the expected ratio.
        depth: Depth of the nets, in convolutions.
        colors: Arm -> color; others are gray.
        bands: Arms whose range is drawn; None draws that of all.
        legend: Draw a legend.
    """
    for arm, norms in gradients.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log10(norms) - np.log10(norms[:, -1:])
        blocks = np.arange(1, norms.shape[1] + 1)
        color = colors.get(arm, NEUTRAL)
        axes.plot(blocks, np.median(logs, axis=0), color=color, label=arm, linewidth=1.6)
        if bands is None or arm in bands:
            axes.fill_between(
                blocks, logs.min(axis=0), logs.max(axis=0), color=color, alpha=0.15, linewidth=0
            )
        if arm in theory:
            axes.plot(blocks, theory[arm], "--", color=color, linewidth=1)
    axes.plot([], [], "--", color=NEUTRAL, linewidth=1, label="theory, nothing fitted")
    axes.set(
        xlabel="block (1 is next to the image)",
        ylabel="log₁₀ of gradient norm / last block's",
        title=f"Gradient in each block's input at initialization, {depth} convolutions",
    )
    axes.title.set_fontsize(9)
    if legend:
        axes.legend(fontsize=8, frameon=False)
