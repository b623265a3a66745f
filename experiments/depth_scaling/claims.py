"""The depth study's claims and tables."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxseg.studies import Row, Table, Verdict, column, is_above, judge, spread

HARD, SHORTCUTS = "Deep networks are hard to train", "Residual connections"
PAIRS = (("plain", "residual"), ("plain_norm", "residual_norm"))
"""Arms without shortcuts, and the same with them."""
Best = Mapping[str, Mapping[int, Sequence[Row]]]
"""Arm -> depth -> its rows at its best rate there, one a seed."""
ByDepth = Mapping[int, np.ndarray]
"""Depth -> training losses over the seeds, or (seeds, blocks)."""


def loss_table(best: Best) -> dict[str, dict[int, np.ndarray]]:
    """Collect the training losses at the best rates: arm -> depth -> one value a seed."""
    return {
        arm: {depth: column(rows, "train_loss") for depth, rows in depths.items()}
        for arm, depths in best.items()
    }


def trainable_depth(losses: ByDepth, chance: float) -> int | None:
    """Return the greatest depth whose median loss is below half of chance, or None.

    Args:
        losses: Depth -> training losses over the seeds.
        chance: The loss of knowing nothing, in nats.
    """
    return max((d for d, values in losses.items() if np.median(values) < chance / 2), default=None)


def verdicts(best: Best, shares: Mapping[str, ByDepth], chance: float) -> list[Verdict]:
    """Judge the claims that the arms at hand can speak to.

    Args:
        best: From `at_best_rate`.
        shares: Arm -> depth -> (seeds, blocks) share of each block in its output.
        chance: The loss of knowing nothing, in nats.
    """
    losses = {arm: table for arm, table in loss_table(best).items() if len(table) > 1}
    claims = [_rises(arm, losses[arm]) for arm, _ in PAIRS if arm in losses]
    claims += [_stays(arm, losses[arm], chance) for _, arm in PAIRS if arm in losses]
    claims += [_below(*pair, losses, chance) for pair in PAIRS if {*pair} <= {*losses}]
    if {"plain", "plain_isometric"} <= {*losses}:
        claims.append(_isometry(losses, chance))
    claims += [_quiet(arm, shares[arm]) for _, arm in PAIRS if len(shares.get(arm, ())) > 1]
    return claims


def _rises(arm: str, losses: ByDepth) -> Verdict:
    first, last = min(losses), max(losses)
    return Verdict(
        HARD,
        f"The training loss of nets without shortcuts rises with their depth ({arm})",
        "He et al. 2015, arXiv:1512.03385; published for ImageNet, top-1 error: plain-18 27.94, "
        "plain-34 28.54",
        theory=f"loss at {last} convolutions above that at {first}, for all seeds",
        measured=_change(losses),
        seeds=len(losses[last]),
        verdict=judge(is_above(losses[last], losses[first])),
    )


def _stays(arm: str, losses: ByDepth, chance: float) -> Verdict:
    first, last = min(losses), max(losses)
    rises = is_above(losses[last], losses[first])
    # What was never learned cannot be lost, and a run that diverged has no place in a range.
    learned = np.median(losses[first]) < chance / 2 and np.all(np.isfinite(losses[last]))
    several = min(len(losses[first]), len(losses[last])) > 1
    clear = rises is not None or (learned and several)
    return Verdict(
        SHORTCUTS,
        f"With shortcuts the training loss does not rise with depth ({arm})",
        "He et al. 2015; published for ImageNet, top-1 error: ResNet-18 27.88, ResNet-34 25.03",
        theory=f"loss at {last} convolutions not above that at {first}, within the seeds' range, "
        f"of nets that learn at {first}",
        measured=_change(losses),
        seeds=len(losses[last]),
        verdict=judge(not rises if clear else None),
    )


def _below(plain: str, residual: str, losses: Mapping[str, ByDepth], chance: float) -> Verdict:
    depth = max({*losses[plain]} & {*losses[residual]})
    low, high = losses[residual][depth], losses[plain][depth]
    learns = min(np.median(values) for values in losses[residual].values()) < chance / 2
    verdict = Verdict(
        SHORTCUTS,
        f"With equal parameters, deep nets train better with shortcuts ({residual}, {plain})",
        "He et al. 2015",
        theory=f"at {depth} convolutions every seed's loss is below every seed's without",
        measured=f"{spread(low)} against {spread(high)}",
        seeds=len(low),
        verdict=judge(is_above(high, low)),
    )
    return verdict.unless("" if learns else f"{residual} learns at no depth")


def _isometry(losses: Mapping[str, ByDepth], chance: float) -> Verdict:
    plain, isometric = (
        trainable_depth(losses[arm], chance) or 0 for arm in ("plain", "plain_isometric")
    )
    return Verdict(
        HARD,
        "What plain nets lack is dynamical isometry: tanh and delta-orthogonal kernels train "
        "deeper",
        "Xiao et al. 2018, arXiv:1806.05393",
        theory="a greater trainable depth (median loss below half of chance)",
        measured=f"{isometric or 'no'} convolutions against {plain or 'none'}",
        seeds=min(len(values) for values in losses["plain"].values()),
        # If they are equal, the truth lies between two of the depths, or beyond them.
        verdict=judge(None if plain == isometric else isometric > plain),
    )


def _quiet(arm: str, shares: ByDepth) -> Verdict:
    medians = {depth: np.median(values, axis=1) for depth, values in shares.items()}
    first, last = min(medians), max(medians)
    return Verdict(
        SHORTCUTS,
        f"The deeper the net, the less each residual block changes its input ({arm})",
        "He et al. 2015, fig. 7, for CIFAR ResNets of 20 to 110 layers",
        theory="after training the median block's share of its output's standard deviation falls "
        "with depth, for all seeds (1: a plain block's)",
        measured=_change(medians),
        seeds=len(medians[last]),
        verdict=judge(is_above(medians[first], medians[last])),
    )


def _change(by_depth: ByDepth) -> str:
    first, last = min(by_depth), max(by_depth)
    return f"{spread(by_depth[first])} at {first}, {spread(by_depth[last])} at {last}"


def depth_table(best: Best, chance: float) -> Table:
    """Tabulate training losses by arm and depth, and the trainable depths."""
    losses = loss_table(best)
    depths = sorted({depth for table in losses.values() for depth in table})
    rows = [
        [
            arm,
            trainable_depth(table, chance) or "none",
            *(spread(table[depth]) if depth in table else "" for depth in depths),
        ]
        for arm, table in losses.items()
    ]
    columns = ("arm", "trainable depth", *(f"{depth} convs" for depth in depths))
    return Table.of("Training loss by depth, each arm at its best rate there", columns, rows)


def arm_table(best: Best) -> Table:
    """Tabulate what the arms' deepest nets do on the validation images."""
    rows = []
    for arm, depths in best.items():
        runs = depths[max(depths)]
        rows.append(
            [
                arm,
                max(depths),
                f"{runs[0]['learning_rate']:g}",
                spread(column(runs, "pixel_accuracy")),
                spread(column(runs, "mean_iou")),
                f"{runs[0]['parameters']:,}",
                len(runs),
                f"{np.median(column(runs, 'compile_seconds')):.1f}",
                f"{np.median(column(runs, 'step_milliseconds')):.1f}",
            ]
        )
    return Table.of(
        "Validation images, at each arm's greatest depth",
        (
            "arm",
            "convs",
            "best rate",
            "pixel accuracy",
            "mean IoU",
            "parameters",
            "seeds",
            "compile s",
            "ms a step and run",
        ),
        rows,
    )
