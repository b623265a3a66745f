"""The study of paths: its rows as curves over lengths and as losses, its claims and tables."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.paths.config import ARMS, LABELS, Config
from jaxseg import analysis
from jaxseg.studies import (
    Row,
    Table,
    Verdict,
    column,
    hardly_trained,
    is_above,
    judge,
    shown_in,
    spread,
)

VEIT = "Veit et al. 2016"
PUBLISHED = (5, 17)
"""Lengths that nearly all gradient comes through for CIFAR, of 54 blocks (Veit et al. 2016)."""
HEADING = "Residual connections"
LAWS = {
    "residual_unscaled": "Unscaled branches at initialization: lengths follow Bin(L, 1/2) but for "
    "what the border takes, and the shortest matter least",
    "residual": "Branches scaled by 1/√L at initialization: lengths follow about Poisson(1)",
    "residual_norm": "Batch norm at initialization: block l is taken with odds of about 1/l, so "
    "that the typical path has some ln L branches",
}
Best = Mapping[str, Mapping[int, Sequence[Row]]]
"""Arm -> depth in blocks -> its rows at its best rate there, one a seed."""


class ByLength(NamedTuple):
    """Curves over the lengths of paths, 0 to L.

    Attributes:
        before: (seeds, L + 1) before training.
        theory: (L + 1,) what is expected then.
        after: (seeds, L + 1) after training; None where nothing is trained.
    """

    before: np.ndarray
    theory: np.ndarray
    after: np.ndarray | None = None


class Curves(NamedTuple):
    """The gradient of an arm's nets by path length.

    Attributes:
        exact: Share of the squared gradient through all paths of a length.
        single: log10 of a single path's gradient over that of length 0, sampled.
        sampled: Share of the sum of norms: sampled, times the number of paths.
    """

    exact: ByLength
    single: ByLength
    sampled: ByLength


class Losses(NamedTuple):
    """Losses of an arm's nets on validation images, in nats.

    Attributes:
        whole: (seeds,) of the untouched nets.
        block: (seeds, L) without each block.
        delete: k -> losses without k blocks, of all seeds and draws.
        shuffle: k -> losses with k blocks that changed places.
    """

    whole: np.ndarray
    block: np.ndarray
    delete: Mapping[int, np.ndarray]
    shuffle: Mapping[int, np.ndarray]


def mean_length(shares_by_seed: np.ndarray) -> np.ndarray:
    """Average the lengths of paths: (seeds, lengths) shares -> (seeds,)."""
    return shares_by_seed @ np.arange(shares_by_seed.shape[1])


def lesion_losses(rows: Sequence[Row], arm: str, blocks: int) -> Losses:
    """Collect the losses of an arm's nets of one depth.

    Args:
        rows: Rows of lesions.csv.
        arm: The arm.
        blocks: The depth.
    """
    by_kind: dict[str, dict[int, list[float]]] = {}
    for row in sorted(rows, key=lambda row: (row["number"], row["seed"])):
        if (row["arm"], row["blocks"]) == (arm, blocks):
            numbers = by_kind.setdefault(row["kind"], {})
            numbers.setdefault(row["number"], []).append(row["loss"])
    arrays = {
        kind: {number: np.array(losses) for number, losses in numbers.items()}
        for kind, numbers in by_kind.items()
    }
    block = np.stack(list(arrays["block"].values()), axis=1)
    return Losses(arrays["whole"][0], block, arrays["delete"], arrays["shuffle"])


def path_verdicts(
    config: Config, paths: Sequence[Row], curves: Mapping[str, Curves], best: Best, chance: float
) -> list[Verdict]:
    """Judge the claims about the gradient by path length.

    Args:
        config: The study's configuration.
        paths: Rows of paths.csv.
        curves: Arm -> its curves.
        best: From `at_best_rate_by`.
        chance: The loss of knowing nothing, in nats.
    """
    distance = float(np.max(column(paths, "distance")))
    verdicts = [
        Verdict(
            HEADING,
            "The parts of all path lengths sum to the gradient of the whole net",
            "derived",
            theory="relative distance below 10⁻⁴",
            measured=f"at most {distance:.1e}",
            seeds=len({row["seed"] for row in paths}),
            verdict=judge(distance < 1e-4),
        )
    ]
    verdicts += [_law(config, arm, curves[arm].exact) for arm in curves]
    if "residual_norm" in curves:
        losses = column(best["residual_norm"][config.blocks], "train_loss")
        poor = hardly_trained({LABELS["residual_norm"]: losses}, chance)
        verdicts += _short(config, curves["residual_norm"], poor)
    return shown_in("paths.png", verdicts)


def tell(holds: Any, contradicted: Any) -> bool | None:
    """Return None where a claim neither holds nor is contradicted, as where numbers are NaN."""
    return True if holds else False if contradicted else None


def _law(config: Config, arm: str, exact: ByLength) -> Verdict:
    """Judge the mean length before training by theory."""
    expected = mean_length(exact.theory[None])[0]
    lengths = mean_length(exact.before)
    error = lengths / expected - 1
    beyond = np.min(error) > 0.15 or np.max(error) < -0.15
    agrees = tell(abs(np.mean(error)) <= 0.15, beyond)
    return Verdict(
        HEADING,
        LAWS[arm],
        f"derived from {VEIT}" + (" and De & Smith 2020" if arm == "residual_norm" else ""),
        theory=f"mean length {expected:.2f} of {config.blocks} ± 15 %",
        measured=spread(lengths, 2),
        seeds=len(lengths),
        verdict=judge(agrees if len(lengths) > 1 else None),
    )


def _short(config: Config, curves: Curves, poor: str) -> list[Verdict]:
    """Judge whether short paths carry a trained net's gradient, and what sampling makes of it.

    Args:
        config: The study's configuration.
        curves: Curves of trained nets.
        poor: Why these nets show nothing; empty where they do.
    """
    longest = round(PUBLISHED[1] / 54 * config.blocks)
    percent = 100 * analysis.path_share(config.blocks, 0, longest)
    verdicts, lengths = [], []
    for name, curve in (("exactly", curves.exact), ("by sampled paths", curves.sampled)):
        after = np.asarray(curve.after)
        short = 100 * after[:, : longest + 1].sum(axis=1)
        within = 100 * after[:, PUBLISHED[0] : longest + 1].sum(axis=1)
        lengths.append(mean_length(after))
        agrees = tell(short.min() > 90, short.max() <= 90)
        verdict = Verdict(
            HEADING,
            "After training with batch norm most of the gradient comes through paths of at most "
            f"{longest} of {config.blocks} branches ({percent:.2g} % of all paths); {name}",
            VEIT,
            theory="above 90 %; published for CIFAR: 5 to 17 of 54",
            measured=f"{spread(short, 1)} %; from {PUBLISHED[0]} on {np.median(within):.1f} %; "
            f"mean length {np.median(lengths[-1]):.1f}",
            seeds=len(short),
            verdict=judge(agrees if len(short) > 1 else None),
        )
        verdicts.append(verdict.unless(poor))
    exact, sampled = lengths
    overstated = Verdict(
        HEADING,
        "Sampled paths times their number overstate the long ones: gradients of different paths "
        "mostly cancel, so that their sum grows as the root of their number",
        "derived",
        theory="mean length by sampling above the exact one in every seed",
        measured=f"{np.median(sampled):.1f} against {np.median(exact):.1f}",
        seeds=len(exact),
        verdict=judge(tell(np.all(sampled > exact), np.all(sampled <= exact))),
    )
    return [*verdicts, overstated]


def lesion_verdicts(losses: Sequence[Mapping[str, Losses]], chance: float) -> list[Verdict]:
    """Judge the claims about blocks that were removed or moved.

    Args:
        losses: For each depth, the deepest first, arm -> losses.
        chance: The loss of knowing nothing, in nats.
    """
    verdicts = []
    for arms in losses:
        for plain in (arm for arm in arms if not ARMS[arm]["residual"]):
            residual = "residual_norm" if ARMS[plain].get("norm") == "batch" else "residual"
            if residual in arms:
                verdicts.append(_one_block(arms, plain, residual, chance))
    for arm, deep in losses[0].items():
        if ARMS[arm]["residual"]:
            verdicts += [_more(arm, deep, kind, chance) for kind in ("delete", "shuffle")]
    return shown_in("lesions.png", verdicts)


def _more(arm: str, losses: Losses, kind: str, chance: float) -> Verdict:
    """Judge whether the loss rises with the number of blocks that are removed or moved."""
    steps: Mapping[int, np.ndarray] = getattr(losses, kind)
    medians = np.array([np.median(losses.whole), *(np.median(v) for v in steps.values())])
    # With draws this few, a step down by a hundredth of chance is none.
    rises = np.all(np.diff(medians) >= -0.01 * chance) and medians[-1] > medians[0]
    able = medians[0] < 2 / 3 * chance and not np.isnan(medians).any()
    return Verdict(
        HEADING,
        f"The more blocks of a {losses.block.shape[1]}-block net, “{LABELS[arm]}”, are "
        f"{'removed' if kind == 'delete' else 'moved'}, the higher its loss, step by step",
        VEIT,
        theory=f"rises with k = {', '.join(map(str, steps))}",
        measured=f"{medians[0]:.3f} whole; " + ", ".join(f"{m:.3f}" for m in medians[1:]),
        seeds=len(losses.whole),
        verdict=judge(bool(rises) if able else None),
    )


def _one_block(arms: Mapping[str, Losses], plain: str, residual: str, chance: float) -> Verdict:
    """Judge whether a plain net fails without a block, and a residual one does not."""
    pair = (plain, residual)
    # A net knows chance minus its loss; a lesion takes a part of it, the whole or more.
    known = {arm: chance - arms[arm].whole for arm in pair}
    lost = {
        arm: np.median((arms[arm].block - arms[arm].whole[:, None]) / known[arm][:, None], axis=1)
        for arm in pair
    }
    # A seed that learned nothing has nothing to lose, and a share of that has no meaning.
    trained = all(np.median(k) > chance / 3 and np.min(k) > chance / 10 for k in known.values())
    agrees = lost[plain].min() > 0.5 and lost[residual].max() < 0.2
    # In the right order or overlapping, but neither harmless nor fatal, shows nothing.
    contradicted = is_above(lost[residual], lost[plain])
    return Verdict(
        HEADING,
        f"Without one of its {arms[plain].block.shape[1]} blocks the net “{LABELS[plain]}” fails, "
        f"and “{LABELS[residual]}” hardly notices",
        VEIT,
        theory="of chance minus loss, the median block takes above 50 % plain, below 20 % "
        "residual, in every seed",
        measured="; ".join(
            f"{LABELS[arm]} {spread(100 * lost[arm], 0)} % "
            f"(loss whole {np.median(arms[arm].whole):.2f})"
            for arm in pair
        ),
        seeds=min(len(values) for values in lost.values()),
        verdict=judge(tell(agrees, contradicted) if trained else None),
    )


def length_table(curves: Mapping[str, Curves]) -> Table:
    """Tabulate mean lengths by net, stage, and way of weighing."""
    rows = []
    for arm, (exact, _, sampled) in curves.items():
        for stage in ("theory", "before", "after"):
            shown = [getattr(curve, stage) for curve in (exact, sampled)]
            if shown[0] is not None:
                lengths = (mean_length(np.atleast_2d(values)) for values in shown)
                rows.append(
                    [LABELS.get(arm, arm), stage, *(spread(values, 2) for values in lengths)]
                )
    columns = ("net", "training", "mean length, squared gradient", "mean length, sampled")
    return Table.of("Mean length of the paths that the gradient comes through", columns, rows)
