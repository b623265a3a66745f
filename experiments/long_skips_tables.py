"""The study of long and short skips as tables and verdicts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from long_skips_config import ARMS, parts
from orders import order
from studies import Heading, Verdict
from study_arms import Rows, best_rates, mean_text, of_arm, rate_text

from jaxseg.training import records

DROZDZAL = "Drozdzal et al. 2016"
HEADING: Heading = "Upconvolution with residual connections"
Updates = Mapping[str, np.ndarray]
"""Arm -> (seeds, epochs, layers) relative updates at its best rate."""


def file_of(folder: Path, kind: str, arm: str) -> Path:
    """Where an arm's arrays of one kind are."""
    return folder / kind / f"{arm.replace(' ', '_')}.npy"


def at_best_rate(folder: Path, kind: str, results: Rows) -> dict[str, np.ndarray]:
    """Arm -> the arrays of its best rate's runs, by seed."""
    found = {}
    for arm, rate in best_rates(results, tuple(ARMS)).items():
        runs = [row["learning_rate"] for row in results if row["arm"] == arm]
        found[arm] = records.read_array(file_of(folder, kind, arm))[np.array(runs) == rate]
    return found


def unevenness(updates: np.ndarray) -> np.ndarray:
    """(seeds,) deviation over the layers of log10 of the update, stem and head apart.

    A mean over the epochs, which count alike.
    """
    return np.nanmean(_log(updates)[:, :, 1:-1].std(axis=2), axis=1)


def unevenness_of_means(updates: np.ndarray) -> np.ndarray:
    """The same of updates averaged over the epochs first: mostly the first two, the largest."""
    return _log(np.nanmean(updates[:, :, 1:-1], axis=1)).std(axis=1)


def bottom_over_ends(updates: np.ndarray, levels: int, blocks: int) -> np.ndarray:
    """(seeds,) update at the bottom over that at full resolution, stem and head apart.

    Of geometric means over layers and epochs.
    """
    where = np.array(parts(levels, blocks))
    where[[0, -1]] = ""
    logs = np.nanmean(_log(updates), axis=1)
    bottom, ends = (logs[:, where == part].mean(axis=1) for part in ("bottom", "ends"))
    return 10 ** (bottom - ends)


def _log(updates: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(updates, 1e-12))


def arm_table(results: Rows, updates: Updates, levels: int, blocks: int) -> list[str]:
    """A line an arm, means over the seeds and their standard deviation."""
    chosen, lines = best_rates(results, tuple(ARMS)), []
    for arm in updates:
        loss, iou = (mean_text(of_arm(results, chosen, arm, c)) for c in ("train_loss", "mean_iou"))
        first = next(row for row in results if row["arm"] == arm)
        lines.append(
            " | ".join(
                [
                    arm,
                    rate_text(results, arm, chosen[arm]),
                    loss,
                    iou,
                    f"{of_arm(results, chosen, arm, 'pixel_accuracy').mean():.3f}",
                    mean_text(unevenness(updates[arm]), 2),
                    mean_text(bottom_over_ends(updates[arm], levels, blocks), 2),
                    f"{first['parameters']:,}",
                    f"{first['step_milliseconds']:.1f}",
                ]
            )
        )
    head = (
        "arm | rate | training loss | mean IoU | accuracy | unevenness of updates (decades) | "
        "update at the bottom / at full resolution | parameters | ms a step and run"
    )
    return records.markdown_table(head, lines)


def verdicts(
    results: Rows, updates: Updates, chance: float, levels: int, blocks: int
) -> list[Verdict]:
    """What is judged; claims about arms that were not run are left out."""
    chosen = best_rates(results, tuple(ARMS))
    loss = {arm: of_arm(results, chosen, arm, "train_loss").tolist() for arm in updates}
    uneven, uneven_means = (
        {arm: measure(table).tolist() for arm, table in updates.items()}
        for measure in (unevenness, unevenness_of_means)
    )
    behind = {
        arm: bottom_over_ends(table, levels, blocks).tolist() for arm, table in updates.items()
    }
    loss["half of chance"] = [chance / 2] * max((len(v) for v in loss.values()), default=0)
    fit, spread = "training loss", "unevenness of the updates in decades"
    claims = (
        (
            "both",
            "long skips",
            fit,
            loss,
            DROZDZAL,
            "Short skips help a deep net that has long ones",
        ),
        (
            "both",
            "short skips",
            fit,
            loss,
            DROZDZAL,
            "Long skips help a deep net that has short ones",
        ),
        ("long skips", "no skips", fit, loss, DROZDZAL, "Long skips alone are better than none"),
        ("short skips", "no skips", fit, loss, DROZDZAL, "Short skips alone are better than none"),
        (
            "half of chance",
            "no skips",
            fit,
            loss,
            "derived",
            "Without any skip the net is not trainable: its loss stays above ln(K) / 2",
        ),
        (
            "both",
            "long skips",
            spread,
            uneven,
            DROZDZAL,
            "Short skips even out the updates of a net with long ones, epoch by epoch",
        ),
        (
            "both",
            "long skips",
            spread,
            uneven_means,
            DROZDZAL,
            "Short skips even out the updates of a net with long ones, averaged over the epochs",
        ),
        (
            "long skips",
            "both",
            "update at the bottom / at full resolution",
            behind,
            "derived",
            "Without short skips the bottom, around which the long ones lead, falls farther behind "
            "the layers at full resolution",
        ),
    )
    return [
        order(
            HEADING,
            claim,
            source,
            what,
            {arm: table[arm] for arm in (less, more)},
            larger_is_better=False,
        )
        for less, more, what, table, source, claim in claims
        if less in table and more in table
    ]
