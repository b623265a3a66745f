"""The depth study's claims and tables."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.depth_scaling.config import LABELS
from jaxseg.studies import (
    Row,
    Sweep,
    Table,
    Verdict,
    column,
    hardly_trained,
    is_above,
    judge,
    shown_in,
    spread,
)

HARD, SHORTCUTS = "Deep networks are hard to train", "Residual connections"
PAIRS = (("plain", "residual"), ("plain_norm", "residual_norm"))
"""Arms without shortcuts, and the same with them."""
Best = Mapping[str, Mapping[int, Sequence[Row]]]
"""Arm -> depth -> its rows at its best rate there, one a seed."""
POINTS = 50
"""Points of a training curve, about."""
ByDepth = Mapping[int, np.ndarray]
"""Depth -> training losses over the seeds, or (seeds, blocks)."""


def loss_table(best: Best) -> dict[str, dict[int, np.ndarray]]:
    """Collect the training losses at the best rates: arm -> depth -> one value a seed."""
    return {
        arm: {depth: column(rows, "train_loss") for depth, rows in depths.items()}
        for arm, depths in best.items()
    }


def gradient_table(gradients: Sequence[Row], depth: int) -> dict[str, np.ndarray]:
    """Collect the norms of the gradient in each block's input: arm -> (seeds, layers)."""
    table: dict[str, dict[int, list[float]]] = {}
    for row in gradients:
        if row["depth"] == depth:
            by_seed = table.setdefault(row["arm"], {})
            by_seed.setdefault(row["seed"], []).append(row["input_gradient_norm"])
    return {arm: np.array(list(by_seed.values())) for arm, by_seed in table.items()}


def curve_table(
    sweep: Sweep, best: Best
) -> dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]]:
    """Collect the curves of each arm's deepest nets: (arm, depth) -> (steps, losses) by seed."""
    every = max(1, sweep.config.steps // POINTS)
    curves = {}
    for arm, depths in best.items():
        depth = max(depths)
        losses = sweep.members(arm=arm, depth=depth).pick(depths[depth])
        points = losses.shape[1] // every
        means = losses[:, : points * every].reshape(len(losses), points, every).mean(axis=2)
        curves[arm, depth] = [(np.arange(points) * every, line) for line in means]
    return curves


def prediction_strip(sweep: Sweep, best: Best) -> dict[str, np.ndarray]:
    """Collect validation images, masks, and what the deepest nets of either kind predict."""
    strip = {}
    for arm in ("residual", "plain"):
        if arm in best:
            depth = max(best[arm])
            strip[f"{LABELS[arm]},\n{depth} convolutions"] = sweep.read_array(
                "predictions", arm=arm, depth=depth
            )
    count = min((len(labels) for labels in strip.values()), default=1)
    examples = sweep.validation[:count]
    return {
        "image": np.stack([example["image"] / 255 for example in examples]),
        "mask": np.stack([example["label"] for example in examples]),
        **strip,
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
    claims = [_rises(arm, losses[arm], chance) for arm, _ in PAIRS if arm in losses]
    claims += [_stays(arm, losses[arm], chance) for _, arm in PAIRS if arm in losses]
    claims += [_below(*pair, losses, chance) for pair in PAIRS if {*pair} <= {*losses}]
    if {"plain", "plain_isometric"} <= {*losses}:
        claims.append(_isometry(losses, chance))
    quiet = [
        _quiet(arm, shares[arm], losses.get(arm, {}), chance)
        for _, arm in PAIRS
        if len(shares.get(arm, ())) > 1
    ]
    return [*shown_in("depth_scaling.png", claims), *shown_in("responses.png", quiet)]


def _lacking(arm: str, losses: ByDepth, chance: float) -> str:
    """Say that an arm learns at no depth, so that its losses are all chance; "" if it does."""
    learns = min(np.median(values) for values in losses.values()) < chance / 2
    return "" if learns else f"{LABELS[arm]} learns at no depth"


def _rises(arm: str, losses: ByDepth, chance: float) -> Verdict:
    first, last = min(losses), max(losses)
    verdict = Verdict(
        HARD,
        f"The training loss of nets without shortcuts rises with their depth ({LABELS[arm]})",
        "He et al. 2015, arXiv:1512.03385; published for ImageNet, top-1 error: plain-18 27.94, "
        "plain-34 28.54",
        theory=f"loss at {last} convolutions above that at {first}, for all seeds",
        measured=_change(losses),
        seeds=len(losses[last]),
        verdict=judge(is_above(losses[last], losses[first])),
    )
    return verdict.unless(_lacking(arm, losses, chance))


def _stays(arm: str, losses: ByDepth, chance: float) -> Verdict:
    first, last = min(losses), max(losses)
    rises = is_above(losses[last], losses[first])
    # What was never learned cannot be lost, and a run that diverged has no place in a range.
    learned = np.median(losses[first]) < chance / 2 and np.all(np.isfinite(losses[last]))
    several = min(len(losses[first]), len(losses[last])) > 1
    clear = rises is not None or (learned and several)
    verdict = Verdict(
        SHORTCUTS,
        f"With shortcuts the training loss does not rise with depth ({LABELS[arm]})",
        "He et al. 2015; published for ImageNet, top-1 error: ResNet-18 27.88, ResNet-34 25.03",
        theory=f"loss at {last} convolutions not above that at {first}, within the seeds' range, "
        f"of nets that learn at {first}",
        measured=_change(losses),
        seeds=len(losses[last]),
        verdict=judge(not rises if clear else None),
    )
    return verdict.unless(_lacking(arm, losses, chance))


def _below(plain: str, residual: str, losses: Mapping[str, ByDepth], chance: float) -> Verdict:
    depth = max({*losses[plain]} & {*losses[residual]})
    low, high = losses[residual][depth], losses[plain][depth]
    verdict = Verdict(
        SHORTCUTS,
        "With equal parameters, deep nets train better with shortcuts "
        f"({LABELS[residual]}, against {LABELS[plain]})",
        "He et al. 2015",
        theory=f"at {depth} convolutions every seed's loss is below every seed's without",
        measured=f"{spread(low)} against {spread(high)}",
        seeds=len(low),
        verdict=judge(is_above(high, low)),
    )
    return verdict.unless(_lacking(residual, losses[residual], chance))


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


def _quiet(arm: str, shares: ByDepth, losses: ByDepth, chance: float) -> Verdict:
    medians = {depth: np.median(values, axis=1) for depth, values in shares.items()}
    first, last = min(medians), max(medians)
    verdict = Verdict(
        SHORTCUTS,
        f"The deeper the net, the less each residual block changes its input ({LABELS[arm]})",
        "He et al. 2015, fig. 7, for CIFAR ResNets of 20 to 110 layers",
        theory="after training the median block's share of its output's standard deviation falls "
        "with depth, for all seeds (1: a plain block's)",
        measured=_change(medians),
        seeds=len(medians[last]),
        verdict=judge(is_above(medians[first], medians[last])),
    )
    trained = {f"{LABELS[arm]}, {d}": losses[d] for d in (first, last) if d in losses}
    return verdict.unless(hardly_trained(trained, chance))


def _change(by_depth: ByDepth) -> str:
    first, last = min(by_depth), max(by_depth)
    return f"{spread(by_depth[first])} at {first}, {spread(by_depth[last])} at {last}"


def depth_table(best: Best, chance: float) -> Table:
    """Tabulate training losses by arm and depth, and the trainable depths."""
    losses = loss_table(best)
    depths = sorted({depth for table in losses.values() for depth in table})
    rows = [
        [
            LABELS[arm],
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
                LABELS[arm],
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
