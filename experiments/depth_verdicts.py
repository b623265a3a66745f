"""What the depth study says of the lecture's claims."""

from collections.abc import Mapping

import numpy as np
from depth_tables import Rows, loss_table, trainable_depth
from orders import above
from studies import Verdict, judged

HARD, SHORTCUTS = "Deep networks are hard to train", "Residual connections"
PAIRS = (("plain", "residual"), ("plain_norm", "residual_norm"))
Shares = Mapping[str, Mapping[int, np.ndarray]]
"""arm -> depth -> (seeds, blocks)."""


def verdicts(results: Rows, shares: Shares, chance: float) -> list[Verdict]:
    """The claims that the arms at hand can speak to.

    Args:
        results: rows of results.csv.
        shares: of each block in its output, as `response_table`.
        chance: the loss of knowing nothing, in nats.
    """
    losses = {arm: table for arm, table in loss_table(results).items() if len(table) > 1}
    found = [_rises(arm, losses[arm]) for arm, _ in PAIRS if arm in losses]
    found += [_stays(arm, losses[arm], chance) for _, arm in PAIRS if arm in losses]
    found += [_below(*pair, losses) for pair in PAIRS if {*pair} <= {*losses}]
    if {"plain", "plain_isometric"} <= {*losses}:
        found.append(_isometry(losses, chance))
    found += [_quiet(arm, shares[arm]) for _, arm in PAIRS if len(shares.get(arm, ())) > 1]
    return found


def _rises(arm: str, table: Mapping[int, np.ndarray]) -> Verdict:
    first, last = min(table), max(table)
    return Verdict(
        heading=HARD,
        claim=f"The training loss of nets without shortcuts rises with their depth ({arm})",
        source="He et al. 2015, arXiv:1512.03385; published for ImageNet, top-1 error: plain-18 "
        "27.94, plain-34 28.54",
        theory=f"loss at {last} convolutions above that at {first}, for all seeds",
        measured=_change(table),
        seeds=len(table[last]),
        verdict=judged(above(table[last], table[first])),
    )


def _stays(arm: str, table: Mapping[int, np.ndarray], chance: float) -> Verdict:
    first, last = min(table), max(table)
    rises = above(table[last], table[first])
    # What was never learned cannot be lost, and a run that diverged has no place in a range.
    learned = np.median(table[first]) < chance / 2 and np.all(np.isfinite(table[last]))
    told = rises is not None or (learned and min(len(table[first]), len(table[last])) > 1)
    return Verdict(
        heading=SHORTCUTS,
        claim=f"With shortcuts the training loss does not rise with depth ({arm})",
        source="He et al. 2015; published for ImageNet, top-1 error: ResNet-18 27.88, ResNet-34 "
        "25.03",
        theory=f"loss at {last} convolutions not above that at {first}, within the seeds' range, "
        f"of nets that learn at {first}",
        measured=_change(table),
        seeds=len(table[last]),
        verdict=judged(not rises if told else None),
    )


def _below(plain: str, residual: str, losses) -> Verdict:
    depth = max({*losses[plain]} & {*losses[residual]})
    low, high = losses[residual][depth], losses[plain][depth]
    return Verdict(
        heading=SHORTCUTS,
        claim=f"Of equal parameters, deep nets train better with shortcuts ({residual}, {plain})",
        source="He et al. 2015",
        theory=f"at {depth} convolutions every seed's loss is below every seed's without",
        measured=f"{_range(low)} against {_range(high)}",
        seeds=len(low),
        verdict=judged(above(high, low)),
    )


def _isometry(losses, chance: float) -> Verdict:
    plain, isometric = (
        trainable_depth(losses[arm], chance) or 0 for arm in ("plain", "plain_isometric")
    )
    return Verdict(
        heading=HARD,
        claim="What plain nets lack is dynamical isometry: tanh and delta-orthogonal kernels train "
        "deeper",
        source="Xiao et al. 2018, arXiv:1806.05393",
        theory="a greater trainable depth (median loss below half of chance)",
        measured=f"{isometric or 'no'} convolutions against {plain or 'none'}",
        seeds=len(next(iter(losses["plain"].values()))),
        # Equal, it may be the one or the other between two of the depths, or beyond them.
        verdict=judged(None if plain == isometric else isometric > plain),
    )


def _quiet(arm: str, shares: Mapping[int, np.ndarray]) -> Verdict:
    medians = {depth: np.median(found, axis=1) for depth, found in shares.items()}
    first, last = min(medians), max(medians)
    return Verdict(
        heading=SHORTCUTS,
        claim=f"The deeper the net, the less each residual block changes its input ({arm})",
        source="He et al. 2015, fig. 7, of CIFAR ResNets of 20 to 110 layers",
        theory="after training the median block's share of its output's standard deviation falls "
        "with depth, for all seeds (1: a plain block's)",
        measured=_change(medians),
        seeds=len(medians[last]),
        verdict=judged(above(medians[first], medians[last])),
    )


def _change(table: Mapping[int, np.ndarray]) -> str:
    first, last = min(table), max(table)
    return f"{_range(table[first])} at {first}, {_range(table[last])} at {last}"


def _range(values: np.ndarray) -> str:
    return f"{np.median(values):.3f} ({np.min(values):.3f} to {np.max(values):.3f})"
