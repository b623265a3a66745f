"""The landscape study's claims and tables, from its rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.landscape.config import LABELS
from jaxseg.studies import (
    Row,
    Table,
    Verdict,
    column,
    hardly_trained,
    is_above,
    judge,
    matching,
    shown_in,
    spread,
)

NUMBERS = (
    "center",
    "border",
    "basin",
    "negative",
    "negative_all",
    "filter_curvature",
    "largest_eigenvalue",
    "smallest_eigenvalue",
    "norm_difference",
)
SHAPES = {
    "arm": str,
    "depth": int,
    "seed": int,
    "learning_rate": float,
    **dict.fromkeys(NUMBERS, float),
}
"""Columns of shapes.csv; see `probes.surface_shape` and `probes.SurfaceProbe`."""
LI = "Li et al. 2018"
HEADING = "Residual connections"
COMPARED = (
    ("negative", "the surface below chance is less convex around a plain net", "plain"),
    ("basin", "less of the surface is below chance around a plain net", "residual"),
    (
        "filter_curvature",
        "the loss is sharper along filter-normalized directions around a plain net",
        "plain",
    ),
    (
        "largest_eigenvalue",
        "the Hessian's largest eigenvalue is larger around a plain net",
        "plain",
    ),
    ("border", "the loss rises higher at the border of the grid around a plain net", "plain"),
)
"""Number, claim, and the arm whose number is claimed to be larger."""
EXPLORATORY = ("border",)
Best = Mapping[str, Mapping[int, Sequence[Row]]]
"""Arm -> depth -> its rows at its best rate there, one a seed."""
Values = Mapping[str, Mapping[int, np.ndarray]]
"""Arm -> depth in convolutions -> one value a seed."""


def value_tables(best: Best, shapes: Sequence[Row]) -> dict[str, Values]:
    """Collect the training loss and all of `NUMBERS` at the best rates: name -> `Values`.

    Args:
        best: From `at_best_rate_by`.
        shapes: Rows of shapes.csv.
    """
    shapes_of = {
        arm: {depth: matching(shapes, runs, depth=depth) for depth, runs in depths.items()}
        for arm, depths in best.items()
    }
    tables = {"train_loss": best, **dict.fromkeys(NUMBERS, shapes_of)}
    return {
        name: {
            arm: {depth: column(rows, name) for depth, rows in depths.items()}
            for arm, depths in table.items()
        }
        for name, table in tables.items()
    }


def verdicts(values: Mapping[str, Values], chance: float) -> list[Verdict]:
    """Judge the method, then the arms at the greatest depth of both, and over all depths.

    Args:
        values: From `value_tables`.
        chance: The loss of knowing nothing, in nats.
    """
    claims: list[Verdict] = []
    losses = values["train_loss"]
    if {"plain", "residual"} <= {*losses}:
        depth = max({*losses["plain"]} & {*losses["residual"]}, default=None)
        if depth is not None:
            claims += [_compared(values, depth, *asked, chance) for asked in COMPARED]
    claims += [_over_depth(values, arm, chance) for arm in losses if len(losses[arm]) > 1]
    method = shown_in("landscape.png", [_method(values["norm_difference"])])
    return [*method, *shown_in("sharpness.png", claims)]


def _method(differences: Values) -> Verdict:
    by_net = [seeds for depths in differences.values() for seeds in depths.values()]
    largest = float(np.max(np.concatenate(by_net)))
    return Verdict(
        HEADING,
        "Each filter of a direction has the norm of the net's own filter",
        LI,
        theory="equal to 10⁻⁵",
        measured=f"at most {largest:.1e} apart",
        seeds=min(len(seeds) for seeds in by_net),
        verdict=judge(largest < 1e-5),
    )


def _poor(values: Mapping[str, Values], chance: float, *nets: tuple[str, int]) -> str:
    """Name those of some nets around which there is no minimum whose shape could be compared."""
    losses = values["train_loss"]
    return hardly_trained(
        {f"{LABELS[arm]} {depth}": losses[arm][depth] for arm, depth in nets}, chance
    )


def _compared(
    values: Mapping[str, Values], depth: int, name: str, claim: str, larger: str, chance: float
) -> Verdict:
    """Judge a number of both arms at one depth."""
    by_arm = {arm: values[name][arm][depth] for arm in ("plain", "residual")}
    smaller = "residual" if larger == "plain" else "plain"
    verdict = Verdict(
        HEADING,
        f"At {depth} convolutions {claim} than around a residual one",
        LI,
        theory=f"{LABELS[larger]} higher in every seed; seeds that overlap show nothing",
        measured="; ".join(f"{LABELS[arm]} {_text(seeds)}" for arm, seeds in by_arm.items()),
        seeds=min(len(seeds) for seeds in by_arm.values()),
        verdict=judge(is_above(by_arm[larger], by_arm[smaller])),
        exploratory=name in EXPLORATORY,
    )
    return verdict.unless(_poor(values, chance, ("plain", depth), ("residual", depth)))


def _over_depth(values: Mapping[str, Values], arm: str, chance: float) -> Verdict:
    """Judge whether curvature grows with depth for plain nets, and does not for residual ones."""
    by_depth = values["filter_curvature"][arm]
    first, last = min(by_depth), max(by_depth)
    shallow, deep = by_depth[first], by_depth[last]
    agrees = grows = is_above(deep, shallow)
    if arm == "residual":
        stays = len(deep) > 1 and np.median(deep) <= 1.5 * np.median(shallow)
        agrees = True if stays else False if grows else None
    verdict = Verdict(
        HEADING,
        "Depth sharpens plain nets" if arm == "plain" else "Depth does not sharpen residual nets",
        LI,
        theory="filter-normalized curvature "
        + (
            "higher in every seed at the greatest depth"
            if arm == "plain"
            else "at the greatest depth at most 1.5 times that at the least, medians"
        ),
        measured="; ".join(
            f"{depth} convolutions {_text(seeds)}" for depth, seeds in sorted(by_depth.items())
        ),
        seeds=min(len(shallow), len(deep)),
        verdict=judge(agrees),
    )
    return verdict.unless(_poor(values, chance, (arm, first), (arm, last)))


def _text(values: np.ndarray) -> str:
    return spread(values, significant=True)


def shape_table(values: Mapping[str, Values]) -> Table:
    """Tabulate all numbers, a line a net."""
    names = ("train_loss", *NUMBERS[:-1])
    rows = [
        [LABELS[arm], depth, *(_text(values[name][arm][depth]) for name in names)]
        for arm, depths in values["train_loss"].items()
        for depth in depths
    ]
    titles = ("training loss", *(name.replace("_", " ") for name in names[1:]))
    columns = ("net", "convolutions", *titles)
    return Table.of("Each net at its best rate", columns, rows)
