"""The phase diagram: to which depth nets train, beside six depth scales of mean-field theory."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from studies import Verdict, judged
from trainability_config import PHASES, Config, layer
from trainability_tables import Rows, all_train, by_rate

from jaxseg import plots
from jaxseg.analysis import mean_field
from jaxseg.training import records

REACH = 6
"""Depth scales that a net trains through (Schoenholz et al. 2017)."""


def phase_losses(config: Config, rows: Rows, arm: str) -> np.ndarray:
    """(depths, weight variances, seeds), each pair of the first two at its own best rate."""
    kept = [r for r in rows if r["part"] == "phase" and r["arm"] == arm]
    found = np.full((*_shape(config), config.seeds), np.inf)
    for i, depth in enumerate(config.depths):
        for j, variance in enumerate(config.weight_variances):
            runs = by_rate(
                [r for r in kept if (r["depth"], r["weight_variance"]) == (depth, variance)]
            )
            found[i, j] = min(runs, key=np.median)
    return found


def _shape(config: Config) -> tuple[int, int]:
    return len(config.depths), len(config.weight_variances)


def trained_depth(depths: Sequence[int], losses: np.ndarray, chance: float) -> float:
    """The depth at which the loss first reaches half of chance, between depths on a log scale.

    The first or the last depth where no shallower or no deeper one says more.

    Args:
        depths: rising.
        losses: of each, in nats.
        chance: ln of the number of classes.
    """
    capped, half = np.minimum(losses, chance), chance / 2
    fails = np.flatnonzero(capped >= half)
    if not len(fails):
        return float(depths[-1])
    first = int(fails[0])
    if first == 0:
        return float(depths[0])
    before, after = capped[first - 1], capped[first]
    share = (half - before) / (after - before)
    return float(depths[first - 1] * (depths[first] / depths[first - 1]) ** share)


def boundaries(config: Config, losses: np.ndarray, chance: float) -> np.ndarray:
    """(3, weight variances): least over the seeds, of the median, largest over the seeds."""
    found = []
    for j in range(losses.shape[1]):
        own = [trained_depth(config.depths, losses[:, j, s], chance) for s in range(config.seeds)]
        middle = trained_depth(config.depths, np.median(losses[:, j], axis=1), chance)
        found.append((min(*own, middle), middle, max(*own, middle)))
    return np.array(found).T


def reach(config: Config, variances: Sequence[float]) -> np.ndarray:
    """6 xi_c at each weight variance."""
    scales = [mean_field.depth_scales(layer(config, v)).correlation for v in variances]
    return REACH * np.array(scales)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; NaN where one of them is constant."""
    first, second = _ranks(a), _ranks(b)
    if min(np.ptp(first), np.ptp(second)) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(x: np.ndarray) -> np.ndarray:
    """Twice the rank, ties shared."""
    ordered = np.sort(x)
    return np.searchsorted(ordered, x) + np.searchsorted(ordered, x, "right")


def _inside(config: Config, depths: np.ndarray) -> np.ndarray:
    return (depths > config.depths[0]) & (depths < config.depths[-1])


def phase_verdicts(config: Config, rows: Rows, chance: float) -> list[Verdict]:
    """Whether plain nets train to 6 xi_c, and residual ones everywhere."""
    middle = boundaries(config, phase_losses(config, rows, "plain"), chance)[1]
    expected = reach(config, config.weight_variances)
    clipped = np.clip(expected, config.depths[0], config.depths[-1])
    rank = rank_correlation(clipped, middle)
    inside = _inside(config, middle) & _inside(config, expected)
    ratios = middle[inside] / expected[inside]
    deepest = np.array(config.weight_variances)[middle == middle.max()]
    deep = middle[expected > config.depths[-1]]
    capped = ""
    if len(deep):
        capped = (
            f"; where 6 xi_c is above {config.depths[-1]}, nets train to "
            f"{deep.min():.0f} to {deep.max():.0f}"
        )
    residual = np.median(phase_losses(config, rows, "residual"), axis=-1)
    ratio = "none"
    if len(ratios):
        ratio = f"median {np.median(ratios):.2f}, {ratios.min():.2f} to {ratios.max():.2f}"
    agrees = None if len(ratios) < 3 else rank >= 0.8 and 0.5 <= np.median(ratios) <= 2
    critical = mean_field.critical_weight_variance(config.bias_variance)
    tried = np.sort(config.weight_variances)
    beside = tried[max(0, np.searchsorted(tried, critical) - 1) :][:2]
    if agrees and not np.isin(deepest, beside).any():
        agrees = None  # half of the claim
    return [
        Verdict(
            heading="Deep networks are hard to train",
            claim="Plain tanh nets train to about 6 depth scales, deepest between order and chaos",
            source="Schoenholz et al. 2017",
            theory=f"depth / 6 xi_c = 1 (within a factor 2), rank correlation of the two >= .8; "
            f"deepest beside sigma_w^2 = {critical:.3f}",
            measured=f"depth / 6 xi_c over {len(ratios)} weight variances where both lie between "
            f"the depths tried: {ratio}; rank correlation {rank:.2f}; deepest "
            f"({middle.max():.0f}) at sigma_w^2 = "
            f"{', '.join(f'{v:g}' for v in deepest)}{capped}",
            seeds=config.seeds,
            verdict=judged(None if agrees is None else bool(agrees)),
        ),
        Verdict(
            heading="Residual connections",
            claim="The same layers as residual branches over sqrt(L) train at every weight "
            "variance and depth",
            source="after Yang & Schoenholz 2017",
            theory=f"loss below ln(K) / 2 = {chance / 2:.3f} nats everywhere",
            measured=f"largest median loss {residual.max():.3f} nats, of {residual.size}",
            seeds=config.seeds,
            verdict=all_train(residual, chance),
        ),
    ]


def boundary_table(config: Config, rows: Rows, chance: float) -> list[str]:
    """Theory beside the measured boundary, a line a weight variance."""
    losses = phase_losses(config, rows, "plain")
    low, middle, high = boundaries(config, losses, chance)
    expected = reach(config, config.weight_variances)
    lines = [
        f"{v:g} | {e:.1f} | {m:.1f} ({a:.1f} to {b:.1f}) | {m / e:.2f}"
        for v, e, m, a, b in zip(config.weight_variances, expected, middle, low, high, strict=True)
    ]
    head = (
        "sigma_w^2 | 6 xi_c (layers) | trains to (range over seeds; "
        f"{config.depths[0]} to {config.depths[-1]} tried) | ratio"
    )
    return records.markdown_table(head, lines)


def phase_figure(config: Config, rows: Rows, chance: float) -> Figure:
    """See `plots.phase_diagram`."""
    losses = {arm: phase_losses(config, rows, arm) for arm in PHASES}
    names = {"plain": "plain", "residual": "residual, branches / √L"}
    variances = config.weight_variances
    where = np.linspace(min(variances) - 0.3, max(variances) + 0.4, 240)
    where = where[where > 0.05]
    return plots.phase_diagram(
        losses={names[arm]: np.median(v, axis=-1) for arm, v in losses.items()},
        weight_variances=variances,
        depths=config.depths,
        chance=chance,
        boundary={names[a]: boundaries(config, v, chance) for a, v in losses.items()},
        theory=(where, reach(config, where.tolist())),
        critical=mean_field.critical_weight_variance(config.bias_variance),
        title=f"Which depths train?  tanh nets of width {config.width}, biases of variance "
        f"{config.bias_variance:g}, {config.steps} steps, {config.seeds} seeds",
    )
