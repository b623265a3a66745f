"""The summary and the figures of the dilation study, from what it has on the disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import studies
from dilation_nets import ARMS, GRIDS
from dilation_tables import Rows, at_best, table, values, verdicts
from matplotlib.figure import Figure
from orders import by_chance

from jaxseg import plots
from jaxseg.training import records

CAPTIONS = {
    "brought.png": "Training loss and mean IoU of each arm at its best rate, over the seeds, and "
    "how wide nets look before and after training",
    "looked_at.png": "The energy of a middle logit's gradient in the image, before and after "
    "training; dashed: the theoretical field",
    "gridding.png": "Predictions, a class's logits and their spectra: rates that share a factor "
    "leave its period",
}


def report(
    out: Path,
    results: Rows,
    seen: Rows,
    apart: Sequence[float],
    about: str,
    strip: Mapping[str, np.ndarray],
    palette: Sequence[tuple[int, int, int]],
) -> str:
    """Write summary.md, verdicts.csv and the figures; the summary's text.

    Args:
        out: the study's folder, with the arrays of all arms.
        results: rows of results.csv.
        seen: rows of seen.csv.
        apart: from `dilation_nets.same_scores`, a value a seed.
        about: what the numbers hold for.
        strip: "image" and "mask" of the first validation images.
        palette: a colour a class.
    """
    drawn = {"brought.png": _brought(results, seen, about)}
    best = at_best(results)
    drawn["looked_at.png"] = _looked_at(out, list(best), about)
    gridded = [arm for arm in (*GRIDS, "dilated") if arm in best]
    if "cascade" in best:
        drawn["gridding.png"] = _gridding(out, gridded, strip, palette, about)
    for name, figure in drawn.items():
        figure.savefig(out / name, dpi=150)
    found = verdicts(results, seen, apart)
    asked = sum("beyond the seeds' range" in verdict.theory for verdict in found)
    caution = (
        f"An order holds where the seeds' ranges are apart: between two equal arms that is so in "
        f"{by_chance(len(apart)):.0%} of all cases by chance, and {asked} claims of order are made."
    )
    return studies.write_summary(
        out,
        title="Plain, strided and dilated convolutions",
        about=f"{about}. {caution}",
        verdicts=found,
        figures={name: CAPTIONS[name] for name in drawn},
        tables=[table(results, seen)],
    )


def _array(out: Path, arm: str, stage: str, name: str) -> np.ndarray:
    """What a net of every seed left: (seeds, ...)."""
    return records.read_array(out / "arrays" / f"{arm}-{stage}-{name}.npy")


def _brought(results: Rows, seen: Rows, about: str) -> Figure:
    best = at_best(results)

    def column(name: str) -> dict[str, list[Any]]:
        return {arm: [row[name] for row in rows] for arm, rows in best.items()}

    return plots.rates_brought(
        column("train_loss"),
        column("mean_iou"),
        {arm: costs[0] for arm, costs in column("multiply_adds").items()},
        {arm: (values(seen, "width", arm, "before"), values(seen, "width", arm)) for arm in best},
        {arm: ARMS[arm].walk for arm in best},
        title=about,
    )


def _looked_at(out: Path, arms: Sequence[str], about: str) -> Figure:
    before, after = (
        {arm: _array(out, arm, stage, "energy").mean(axis=0) for arm in arms}
        for stage in ("before", "after")
    )
    sizes = {arm: ARMS[arm].coverage.size for arm in arms}
    return plots.looked_at(
        before, after, sizes, title=f"Where the gradient of a middle logit lies ({about})"
    )


def _gridding(out: Path, arms: Sequence[str], strip, palette, about: str) -> Figure:
    spectra = {
        arm: (_array(out, arm, "before", "spectrum"), _array(out, arm, "after", "spectrum"))
        for arm in arms
    }
    return plots.gridding(
        strip["image"][0],
        strip["mask"][0],
        {arm: _array(out, arm, "after", "logits")[0, 0] for arm in arms},
        spectra,
        palette,
        period=2,
        title=f"Gridding ({about})",
    )
