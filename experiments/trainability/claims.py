"""The trainability study's claims and table, from its rows."""

import itertools
import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from experiments.trainability.config import PHASES, Config, expected_depths
from jaxseg.analysis import mean_field
from jaxseg.studies import Row, Table, Verdict, best_rate, column, judge, shown_in

HARD, SHORTCUTS = "Deep networks are hard to train", "Residual connections"
OCTAVES = 2  # the range of best log2 rates that counts as not moving


def verdicts(config: Config, rows: Sequence[Row], chance: float) -> list[Verdict]:
    """Judge all claims.

    Args:
        config: The study's configuration.
        rows: Rows of the runs that it names.
        chance: The loss of knowing nothing, in nats.
    """
    phase = [phase_losses(config, rows, arm) for arm in PHASES]
    phases = [_reaches(config, phase[0], chance), _residual(config, phase[1], chance)]
    claims = []
    for block_layers in config.block_layers:
        chosen = _select(rows, part="transfer", block_layers=block_layers)
        kind = f"({block_layers}-layer blocks)"
        for arm in RATE_CLAIMS:
            claims.append(_moves(config, _select(chosen, arm=arm), chance, arm, kind))
        claims.append(_zero(config, _select(chosen, arm="zero"), chance, kind))
    return [*shown_in("phase_diagram.png", phases), *shown_in("depth_transfer.png", claims)]


def _select(rows: Sequence[Row], **values) -> list[Row]:
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def phase_losses(config: Config, rows: Sequence[Row], arm: str) -> np.ndarray:
    """Collect (depths, weight variances, seeds) losses, each net's at its own best rate."""
    arms = _select(rows, part="phase", arm=arm)
    losses = np.full((len(config.depths), len(config.weight_variances), config.seeds), np.inf)
    for i, depth in enumerate(config.depths):
        for j, variance in enumerate(config.weight_variances):
            runs = _select(arms, depth=depth, weight_variance=variance)
            best = _select(runs, learning_rate=best_rate(runs))
            losses[i, j] = column(sorted(best, key=lambda row: row["seed"]), "train_loss")
    return losses


def trained_depth(depths: Sequence[int], losses: np.ndarray, chance: float) -> float:
    """Find the depth at which the loss first reaches half of chance.

    It is interpolated between two depths on a logarithmic scale. Where no shallower or no deeper
    net was tried, it is the first or the last depth.

    Args:
        depths: Depths, rising.
        losses: Loss at each depth, in nats.
        chance: The loss of knowing nothing, in nats.
    """
    capped, half = np.minimum(losses, chance), chance / 2
    fails = np.flatnonzero(capped >= half)
    first = int(fails[0]) if len(fails) else -1
    if first <= 0:
        return float(depths[first])
    before, after = capped[first - 1], capped[first]
    share = (half - before) / (after - before)
    return float(depths[first - 1] * (depths[first] / depths[first - 1]) ** share)


def boundaries(config: Config, losses: np.ndarray, chance: float) -> np.ndarray:
    """Find the depths that train, (3, weight variances): least, of the median losses, largest."""
    by_variance = []
    for j in range(losses.shape[1]):
        reach = partial(trained_depth, config.depths, chance=chance)
        middle = reach(np.median(losses[:, j], axis=1))
        by_seed = [reach(seed) for seed in losses[:, j].T]
        by_variance.append((min(*by_seed, middle), middle, max(*by_seed, middle)))
    return np.array(by_variance).T


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Give Spearman's rank correlation; NaN where one of the arrays is constant."""
    first, second = _ranks(a), _ranks(b)
    if min(np.ptp(first), np.ptp(second)) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(x: np.ndarray) -> np.ndarray:
    ordered = np.sort(x)
    return np.searchsorted(ordered, x) + np.searchsorted(ordered, x, "right")


def _reaches(config: Config, losses: np.ndarray, chance: float) -> Verdict:
    """Judge whether plain nets train to 6 xi_c."""
    middle = boundaries(config, losses, chance)[1]
    expected = expected_depths(config, config.weight_variances)
    shallowest, deepest = config.depths[0], config.depths[-1]
    rank = rank_correlation(np.clip(expected, shallowest, deepest), middle)
    inside = [(v > shallowest) & (v < deepest) for v in (middle, expected)]
    ratios = (middle / expected)[np.logical_and(*inside)]
    ratio, ranks = "none", "undefined" if math.isnan(rank) else f"{rank:.2f}"
    if len(ratios):
        ratio = f"median {np.median(ratios):.2f}, {ratios.min():.2f} to {ratios.max():.2f}"
    agrees = None
    if len(ratios) >= 3:
        agrees = bool(rank >= 0.8 and 0.5 <= np.median(ratios) <= 2)
    critical = mean_field.critical_weight_variance(config.bias_variance)
    tried = np.array(config.weight_variances)
    peaks = tried[middle == middle.max()]
    beside = tried[max(0, np.searchsorted(tried, critical) - 1) :][:2]
    if agrees and not np.isin(peaks, beside).any():
        agrees = None  # half of the claim
    beyond = middle[expected > deepest]
    capped = ""
    if len(beyond):
        span = f"{beyond.min():.0f} to {beyond.max():.0f}"
        capped = f"; where 6 ξ_{{c}} is above {deepest}, nets train to {span}"
    return Verdict(
        HARD,
        "Plain tanh nets train to about 6 depth scales, deepest between order and chaos",
        "Schoenholz et al. 2017",
        theory="depth / 6 ξ_{c} = 1 (within a factor 2), rank correlation of the two ≥ .8; "
        f"deepest beside σ_{{w}}² = {critical:.3f}",
        measured=f"depth / 6 ξ_{{c}} over {len(ratios)} weight variances where both lie between "
        f"the depths tried: {ratio}; rank correlation {ranks}; deepest ({middle.max():.0f}) at "
        f"σ_{{w}}² = {', '.join(f'{v:g}' for v in peaks)}{capped}",
        seeds=config.seeds,
        verdict=judge(agrees),
    )


def _residual(config: Config, losses: np.ndarray, chance: float) -> Verdict:
    """Judge whether residual nets train everywhere."""
    medians = np.median(losses, axis=-1)
    return Verdict(
        SHORTCUTS,
        "The same layers as residual branches over √L train at every weight variance and depth",
        "after Yang & Schoenholz 2017",
        theory=f"loss below ½ ln K = {chance / 2:.3f} nats everywhere",
        measured=f"largest median loss {medians.max():.3f} nats, of {medians.size}",
        seeds=config.seeds,
        verdict=judge(_all_train(medians, chance)),
    )


def _all_train(losses: np.ndarray, chance: float) -> bool | None:
    """Tell whether all (depths, ...) losses are below half of chance.

    None where no net trains at the first depth: then the task is at fault.
    """
    return None if losses[0].min() >= chance / 2 else bool(losses.max() < chance / 2)


def boundary_table(config: Config, rows: Sequence[Row], chance: float) -> Table:
    """Tabulate theory and the measured boundary by weight variance."""
    low, middle, high = boundaries(config, phase_losses(config, rows, "plain"), chance)
    expected = expected_depths(config, config.weight_variances)
    return Table.of(
        f"Depth to which plain tanh nets train, of {config.depths[0]} to {config.depths[-1]} tried",
        ("σ_{w}²", "6 ξ_{c} (layers)", "trains to (range over seeds)", "ratio"),
        [
            [f"{v:g}", f"{e:.1f}", f"{m:.1f} ({a:.1f} to {b:.1f})", f"{m / e:.2f}"]
            for v, e, m, a, b in zip(
                config.weight_variances, expected, middle, low, high, strict=True
            )
        ],
    )


def transfer_losses(config: Config, rows: Sequence[Row]) -> np.ndarray:
    """Collect the losses of an arm and a kind of block: (depths, rates, seeds), rates rising."""
    losses = {(row["depth"], row["learning_rate"], row["seed"]): row["train_loss"] for row in rows}
    depths, rates = config.block_depths, sorted(config.block_learning_rates)
    cells = itertools.product(depths, rates, range(config.block_seeds))
    return np.reshape([losses[cell] for cell in cells], (len(depths), len(rates), -1))


def best_log2_rate(runs: Sequence[Row]) -> float:
    """Give log2 of the best rate of some runs; NaN where most runs diverge at every rate."""
    rate = best_rate(runs)
    losses = column(_select(runs, learning_rate=rate), "train_loss")
    return math.log2(rate) if np.isfinite(np.median(losses)) else math.nan


def best_rates(config: Config, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Give the best log2 rates of an arm: (depths,) by median over seeds, and (depths, seeds)."""
    by_depth = [_select(rows, depth=depth) for depth in config.block_depths]
    seeds = range(config.block_seeds)
    by_seed = [[best_log2_rate(_select(runs, seed=s)) for s in seeds] for runs in by_depth]
    return np.array([best_log2_rate(runs) for runs in by_depth]), np.array(by_seed)


def rate_stays(best: np.ndarray, by_seed: np.ndarray, tried: np.ndarray) -> bool | None:
    """Tell whether the best log2 rates fit in +-1.

    None where some depths and seeds fit and others do not, where a best rate is the least or the
    largest of those tried, for then a better one may lie beyond it, or where all rates diverge at
    all depths.

    Args:
        best: (depths,) best log2 rates; NaN where all rates diverge.
        by_seed: (depths, seeds) likewise of each seed.
        tried: log2 of the rates tried.
    """
    if np.isnan(best).any():
        return None if np.isnan(best).all() else False
    if np.ptp(best) <= OCTAVES:
        return None if {tried.min(), tried.max()} & {*best} else True
    apart = by_seed.min(axis=1).max() - by_seed.max(axis=1).min()
    return False if apart > OCTAVES else None


def rate_falls(best: np.ndarray, by_seed: np.ndarray, tried: np.ndarray) -> bool | None:
    """Tell whether the best log2 rate falls by more than 2 from the first depth to the last.

    True as well where all rates diverge at the last depth. None where nothing trains at the first,
    where the rate may have fallen farther than what was tried, or where it falls by some of the
    seeds.

    Args:
        best: (depths,) best log2 rates; NaN where all rates diverge.
        by_seed: (depths, seeds) likewise of each seed.
        tried: log2 of the rates tried.
    """
    if np.isnan(best[0]):
        return None
    if np.isnan(best[-1]) or best[0] - best[-1] > OCTAVES:
        return True
    beyond = best[0] == tried.max() or best[-1] == tried.min()
    return False if not beyond and by_seed[0].max() - by_seed[-1].min() <= OCTAVES else None


RATE_CLAIMS = {
    "1/sqrt(L)": (
        "With branches over √L the best learning rate does not move",
        "best log₂ rate within ±1 at all depths, none at an end of those tried",
        rate_stays,
    ),
    "unscaled": (
        "Unscaled, the best learning rate falls with depth until none is left",
        "best log₂ rate falls by more than 2, or every rate diverges at last",
        rate_falls,
    ),
}
"""Arm -> claim, theory, test."""


def _moves(config: Config, rows: Sequence[Row], chance: float, arm: str, kind: str) -> Verdict:
    claim, theory, holds = RATE_CLAIMS[arm]
    rates = (*best_rates(config, rows), np.log2(config.block_learning_rates))
    verdict = Verdict(
        SHORTCUTS,
        f"{claim} {kind}",
        "Bordelon et al. 2023; Yang et al. 2023",
        theory=theory,
        measured=_best_text(config, rows),
        seeds=config.block_seeds,
        verdict=judge(holds(*rates)),
    )
    first = np.median(transfer_losses(config, rows)[0], axis=-1).min()
    several = min(len(config.block_depths), config.block_seeds) > 1
    lacking = "" if several else "several depths and seeds are needed"
    return verdict.unless(lacking if first < chance / 2 else "no shallow net trains")


def _zero(config: Config, rows: Sequence[Row], chance: float, kind: str) -> Verdict:
    moved = max(row["moved"] for row in rows)
    least = np.median(transfer_losses(config, rows), axis=-1).min(axis=1)
    return Verdict(
        SHORTCUTS,
        "Behind a learned scale that starts at 0 a stack is the identity at step 0, and trains at "
        f"every depth {kind}",
        "De & Smith 2020; Bachlechner et al. 2020",
        theory=f"|stack(x) - x| = 0 exactly; loss below ½ ln K = {chance / 2:.3f} nats",
        measured=f"{moved:g}; largest loss {least.max():.3f} nats; {_best_text(config, rows)}",
        seeds=config.block_seeds,
        verdict=judge(_all_train(least, chance) if moved == 0 else False),
    )


def _best_text(config: Config, rows: Sequence[Row]) -> str:
    """Print the best rates, and the price of the shallowest nets' rate for the deepest."""
    tried = np.log2(config.block_learning_rates)
    ends = {tried.min(): "≤ ", tried.max(): "≥ "}  # a better rate may lie beyond
    best, _ = best_rates(config, rows)
    names = ", ".join("none" if np.isnan(b) else f"{ends.get(b, '')}{b:g}" for b in best)
    text = f"best log₂ rate {names} at {', '.join(map(str, config.block_depths))} blocks"
    losses = np.median(transfer_losses(config, rows), axis=-1)
    least, borrowed = losses[-1].min(), losses[-1, int(np.argmin(losses[0]))]
    if not np.isfinite(least):
        return text
    price = f"{borrowed - least:.3f} nats" if np.isfinite(borrowed) else "divergence"
    first, last = config.block_depths[0], config.block_depths[-1]
    return f"{text}; the best rate of {first} costs {last} blocks {price}"
