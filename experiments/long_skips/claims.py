"""The long_skips study's claims and table, from its rows and the updates of its kernels."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.long_skips.config import Config
from experiments.long_skips.nets import layer_places
from jaxseg.studies import (
    Row,
    Table,
    Verdict,
    columns,
    none_trained,
    order,
    rate_text,
    shown_in,
    spread,
)

DROZDZAL = "Drozdzal et al. 2016"
HEADING = "Upconvolution with residual connections"
Best = Mapping[str, Sequence[Row]]
"""Arm -> its rows at its best rate, one a seed."""
Updates = Mapping[str, np.ndarray]
"""Arm -> (seeds, epochs, layers) relative updates at its best rate."""


def unevenness(updates: np.ndarray) -> np.ndarray:
    """Measure how unevenly layers are updated, (seeds,) in decades; stem and head do not count.

    The standard deviation over the layers of log10 of the update, averaged over the epochs, which
    count alike.
    """
    return np.nanmean(_log10(updates)[:, :, 1:-1].std(axis=2), axis=1)


def unevenness_of_means(updates: np.ndarray) -> np.ndarray:
    """Measure the same of updates averaged over the epochs first: mostly of the first, largest."""
    return _log10(np.nanmean(updates[:, :, 1:-1], axis=1)).std(axis=1)


def bottom_over_ends(config: Config, updates: np.ndarray) -> np.ndarray:
    """Divide the update at the bottom by that at full resolution, (seeds,); not stem and head.

    Both are geometric means over layers and epochs.
    """
    places = np.array(layer_places(config.levels, config.blocks))
    places[[0, -1]] = ""
    logs = np.nanmean(_log10(updates), axis=1)
    bottom, ends = (logs[:, places == place].mean(axis=1) for place in ("bottom", "ends"))
    return 10 ** (bottom - ends)


def _log10(updates: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(updates, 1e-12))


def verdicts(config: Config, best: Best, updates: Updates, chance: float) -> list[Verdict]:
    """Judge all claims; those about arms that were not run are left out.

    Args:
        config: The study's configuration.
        best: From `at_best_rate`.
        updates: Relative updates of the kernels.
        chance: The loss of knowing nothing, in nats.
    """
    losses = columns(best, "train_loss")
    pair = {arm: losses[arm] for arm in ("both", "long skips") if arm in losses}
    poor = none_trained(pair, chance)
    moved = (*_evenness(updates), *_bottom(config, updates))
    return [
        *shown_in("long_skips.png", (*_fits(losses, chance), *_trainable(losses, chance))),
        *shown_in("updates.png", (verdict.unless(poor) for verdict in moved)),
    ]


def _fits(losses: Mapping[str, np.ndarray], chance: float) -> list[Verdict]:
    claims = (
        ("both", "long skips", "Short skips help a deep net that has long ones"),
        ("both", "short skips", "Long skips help a deep net that has short ones"),
        ("long skips", "no skips", "Long skips alone are better than none"),
        ("short skips", "no skips", "Short skips alone are better than none"),
    )
    return [
        _less(claim, DROZDZAL, "training loss", losses, pair).unless(
            none_trained({arm: losses[arm] for arm in pair}, chance)
        )
        for *pair, claim in claims
        if {*pair} <= {*losses}
    ]


def _trainable(losses: Mapping[str, np.ndarray], chance: float) -> list[Verdict]:
    if "no skips" not in losses:
        return []
    levels = {"half of chance": np.full(len(losses["no skips"]), chance / 2), **losses}
    learns = any(np.median(values) < chance / 2 for values in losses.values())
    claim = "Without any skip the net is not trainable: its loss stays above ½ ln K"
    verdict = _less(claim, "derived", "training loss", levels, ("half of chance", "no skips"))
    return [verdict.unless("" if learns else "no arm learns, so that the task may be at fault")]


def _evenness(updates: Updates) -> list[Verdict]:
    pair = ("both", "long skips")
    if not {*pair} <= {*updates}:
        return []
    claim = "Short skips even out the updates of a net with long ones, "
    quantity = "unevenness of the updates in decades"
    each, means = (
        {arm: measure(updates[arm]) for arm in pair}
        for measure in (unevenness, unevenness_of_means)
    )
    return [
        _less(claim + "epoch by epoch", DROZDZAL, quantity, each, pair, exploratory=True),
        _less(claim + "averaged over the epochs", DROZDZAL, quantity, means, pair),
    ]


def _bottom(config: Config, updates: Updates) -> list[Verdict]:
    pair = ("long skips", "both")
    if not {*pair} <= {*updates}:
        return []
    ratios = {arm: bottom_over_ends(config, updates[arm]) for arm in pair}
    claim = (
        "Without short skips the bottom, around which the long ones lead, falls farther behind the "
        "layers at full resolution"
    )
    quantity = "update at the bottom / at full resolution"
    return [_less(claim, "derived", quantity, ratios, pair, exploratory=True)]


def _less(
    claim: str,
    source: str,
    quantity: str,
    values: Mapping[str, np.ndarray],
    pair: Sequence[str],
    *,
    exploratory: bool = False,
) -> Verdict:
    """Judge whether the first arm's values are below the second's."""
    return order(
        HEADING,
        claim,
        source,
        quantity,
        {arm: values[arm] for arm in pair},
        larger_is_better=False,
        exploratory=exploratory,
    )


def arm_table(config: Config, results: Sequence[Row], best: Best, updates: Updates) -> Table:
    """Tabulate the arms at their best rates."""
    rows = [
        [
            arm,
            rate_text(results, runs),
            *(
                spread([run[name] for run in runs])
                for name in ("train_loss", "mean_iou", "pixel_accuracy")
            ),
            spread(unevenness(updates[arm]), 2),
            spread(bottom_over_ends(config, updates[arm]), 2),
            f"{runs[0]['parameters']:,}",
            f"{runs[0]['step_milliseconds']:.1f}",
        ]
        for arm, runs in best.items()
    ]
    return Table.of(
        "Each arm at its best rate",
        (
            "arm",
            "rate",
            "training loss",
            "mean IoU",
            "pixel accuracy",
            "unevenness of updates (decades)",
            "update at the bottom / at full resolution",
            "parameters",
            "ms a step and run",
        ),
        rows,
    )
