"""From rows to losses, boundaries and best rates; the verdicts and figures of trainability."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from studies import Judgement, Verdict, judged
from trainability_config import PHASES, SCALES, Config, layer

from jaxseg import plots
from jaxseg.analysis import mean_field
from jaxseg.training import records

COLUMNS = {
    "part": str, "chain": int, "depth": int, "arm": str, "weight_variance": float, "seed": int,
    "log2_rate": int, "train_loss": float, "moved": float,
}  # fmt: skip
REACH = 6
"""Depth scales that a net trains through (Schoenholz et al. 2017)."""
HARD, SHORTCUTS = "Deep networks are hard to train", "Residual connections"

Rows = Sequence[Mapping[str, Any]]


# --- the phase diagram ---------------------------------------------------------------------------


def phase_losses(config: Config, rows: Rows, arm: str) -> np.ndarray:
    """(depths, weight variances, seeds), each pair of the first two at its own best rate."""
    kept = [r for r in rows if r["part"] == "phase" and r["arm"] == arm]
    found = np.full((*_shape(config), config.seeds), np.inf)
    for i, depth in enumerate(config.depths):
        for j, variance in enumerate(config.weight_variances):
            runs = _by_rate([
                r for r in kept if (r["depth"], r["weight_variance"]) == (depth, variance)
            ])  # fmt: skip
            found[i, j] = min(runs, key=np.median)
    return found


def _shape(config: Config) -> tuple[int, int]:
    return len(config.depths), len(config.weight_variances)


def _by_rate(rows: Rows) -> list[np.ndarray]:
    """Losses of the seeds, for each rate in turn."""
    rates = sorted({r["log2_rate"] for r in rows})
    order = sorted(rows, key=lambda r: r["seed"])
    return [np.array([r["train_loss"] for r in order if r["log2_rate"] == rate]) for rate in rates]


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
    residual = np.median(phase_losses(config, rows, "residual"), axis=-1)
    ratio = f"median {np.median(ratios):.2f}, {ratios.min():.2f} to {ratios.max():.2f}" \
        if len(ratios) else "none"  # fmt: skip
    agrees = None if len(ratios) < 3 else rank >= 0.8 and 0.5 <= np.median(ratios) <= 2
    critical = mean_field.critical_weight_variance(config.bias_variance)
    return [
        Verdict(
            heading=HARD,
            claim="Plain tanh nets train to about 6 depth scales, deepest between order and chaos",
            source="Schoenholz et al. 2017",
            theory=f"depth / 6 xi_c = 1 (within a factor 2), rank correlation of the two >= .8; "
                   f"deepest at sigma_w^2 = {critical:.3f}",
            measured=f"depth / 6 xi_c over {len(ratios)} weight variances where both lie between "
                     f"the depths tried: {ratio}; rank correlation {rank:.2f}; deepest "
                     f"({middle.max():.0f}) at sigma_w^2 = {', '.join(f'{v:g}' for v in deepest)}",
            seeds=config.seeds, verdict=judged(None if agrees is None else bool(agrees)),
        ),
        Verdict(
            heading=SHORTCUTS,
            claim="The same layers as residual branches over sqrt(L) train at every weight "
                  "variance and depth",
            source="after Yang & Schoenholz 2017",
            theory=f"loss below ln(K) / 2 = {chance / 2:.3f} nats everywhere",
            measured=f"largest median loss {residual.max():.3f} nats, of {residual.size}",
            seeds=config.seeds, verdict=_all_train(residual, chance),
        ),
    ]  # fmt: skip


def _all_train(losses: np.ndarray, chance: float) -> Judgement:
    """Depths lead: where the shallowest nets learn nothing, the task is at fault."""
    if losses[0].min() >= chance / 2:
        return judged(None)
    return judged(bool(losses.max() < chance / 2))


def boundary_table(config: Config, rows: Rows, *, classes: int) -> list[str]:
    """Theory beside the measured boundary, a line a weight variance."""
    losses = phase_losses(config, rows, "plain")
    low, middle, high = boundaries(config, losses, math.log(classes))
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


def phase_figure(config: Config, rows: Rows, *, classes: int) -> Figure:
    """See `plots.phase_diagram`."""
    losses = {arm: phase_losses(config, rows, arm) for arm in PHASES}
    names = {"plain": "plain", "residual": "residual, branches / √L"}
    variances = config.weight_variances
    where = np.linspace(min(variances) - 0.3, max(variances) + 0.4, 240)
    where = where[where > 0.05]
    return plots.phase_diagram(
        losses={names[arm]: np.median(v, axis=-1) for arm, v in losses.items()},
        weight_variances=variances, depths=config.depths, chance=math.log(classes),
        boundary={names[a]: boundaries(config, v, math.log(classes)) for a, v in losses.items()},
        theory=(where, reach(config, where.tolist())),
        critical=mean_field.critical_weight_variance(config.bias_variance),
        title=f"Which depths train?  tanh nets of width {config.width}, biases of variance "
              f"{config.bias_variance:g}, {config.steps} steps, {config.seeds} seeds",
    )  # fmt: skip


# --- depth transfer ------------------------------------------------------------------------------


def transfer_losses(config: Config, rows: Rows, chain: int, arm: str) -> np.ndarray:
    """(depths, rates, seeds)."""
    kept = [r for r in rows if (r["part"], r["chain"], r["arm"]) == ("transfer", chain, arm)]
    return np.array([_by_rate([r for r in kept if r["depth"] == depth]) for depth in config.blocks])


def best_rates(config: Config, losses: np.ndarray) -> np.ndarray:
    """log2 of the rate of least loss along the axis before the last; NaN where all diverge."""
    rates = np.sort(np.array(config.block_log2_rates, float))
    return np.where(np.isfinite(losses.min(axis=1)), rates[np.argmin(losses, axis=1)], np.nan)


def transfer_verdicts(config: Config, rows: Rows, chance: float) -> list[Verdict]:
    """For each kind of block: whether the best rate stays, and the identity at step 0."""
    return [
        verdict
        for chain in config.chains
        for verdict in (
            _moves(config, rows, chain, "1/sqrt(L)"),
            _moves(config, rows, chain, "unscaled"),
            _zero(config, rows, chain, chance),
        )
    ]


def _moves(config: Config, rows: Rows, chain: int, arm: str) -> Verdict:
    runs = transfer_losses(config, rows, chain, arm)
    losses = np.median(runs, axis=-1)
    best = best_rates(config, losses)
    blocks = f"{chain}-layer blocks"
    if arm == "unscaled":
        claim = f"Unscaled, the best learning rate falls with depth until none is left ({blocks})"
        theory = "best log2 rate falls by more than 2, or every rate diverges"
        holds = bool(np.isnan(best[-1]) or best[0] - best[-1] > 2)
    else:
        claim = f"With branches over sqrt(L) the best learning rate does not move ({blocks})"
        theory = "best log2 rate within +-1 at all depths"
        holds = _stays(best, best_rates(config, runs))
    return Verdict(
        heading=SHORTCUTS, claim=claim, source="Bordelon et al. 2023; Yang et al. 2023",
        theory=theory, measured=f"{_by_depth(config, best)}{_price(config, losses)}",
        seeds=config.block_seeds, verdict=judged(holds if len(config.blocks) > 1 else None),
    )  # fmt: skip


def _stays(best: np.ndarray, by_seed: np.ndarray) -> bool | None:
    """Whether the best rates, (depths,), fit in +-1; None if only some (depths, seeds) do."""
    if np.ptp(best) <= 2:
        return True
    apart = by_seed.min(axis=1).max() - by_seed.max(axis=1).min()
    return None if apart <= 2 else False


def _zero(config: Config, rows: Rows, chain: int, chance: float) -> Verdict:
    moved = max(
        r["moved"] for r in rows if (r["part"], r["chain"], r["arm"]) == ("transfer", chain, "zero")
    )
    losses = np.median(transfer_losses(config, rows, chain, "zero"), axis=-1)
    least = losses.min(axis=1)
    best = _by_depth(config, best_rates(config, losses)) + _price(config, losses)
    verdict = _all_train(least, chance) if moved == 0 else judged(False)
    return Verdict(
        heading=SHORTCUTS,
        claim=f"Behind a learned scale that starts at 0 a stack is the identity at step 0, and "
              f"trains at every depth ({chain}-layer blocks)",
        source="De & Smith 2020; Bachlechner et al. 2020",
        theory=f"|stack(x) - x| = 0 exactly; loss below ln(K) / 2 = {chance / 2:.3f} nats",
        measured=f"{moved:g}; largest loss {least.max():.3f} nats; {best}",
        seeds=config.block_seeds, verdict=verdict,
    )  # fmt: skip


def _by_depth(config: Config, best: np.ndarray) -> str:
    names = ", ".join("none" if np.isnan(b) else f"{b:g}" for b in best)
    return f"best log2 rate {names} at {', '.join(map(str, config.blocks))} blocks"


def _price(config: Config, losses: np.ndarray) -> str:
    """What the shallowest nets' best rate costs the deepest ones."""
    own, borrowed = losses[-1].min(), losses[-1, int(np.argmin(losses[0]))]
    if not np.isfinite(own):
        return ""
    cost = f"{borrowed - own:.3f} nats" if np.isfinite(borrowed) else "divergence"
    return f"; the best rate of {config.blocks[0]} costs {config.blocks[-1]} blocks {cost}"


def transfer_figure(config: Config, rows: Rows, *, classes: int) -> Figure:
    """See `plots.depth_transfer`."""
    names = {"1/sqrt(L)": "branches / √L", "unscaled": "unscaled", "zero": "learned scale from 0"}
    losses = {
        f"{chain}-layer blocks": {
            names[arm]: transfer_losses(config, rows, chain, arm) for arm in SCALES
        }
        for chain in config.chains
    }
    return plots.depth_transfer(
        losses=losses,
        best={
            kind: {arm: best_rates(config, v) for arm, v in by_arm.items()}
            for kind, by_arm in losses.items()
        },
        log2_rates=sorted(config.block_log2_rates), depths=config.blocks,
        chance=math.log(classes),
        title=f"Does the best learning rate move with depth?  ReLU nets of width "
              f"{config.block_width}, {config.block_steps} steps, median and range of "
              f"{config.block_seeds} seeds",
    )  # fmt: skip


def verdicts(config: Config, rows: Rows, *, classes: int) -> list[Verdict]:
    """All of them, in the order of the study."""
    chance = math.log(classes)
    return [*phase_verdicts(config, rows, chance), *transfer_verdicts(config, rows, chance)]
