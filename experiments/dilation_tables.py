"""What the dilation study found, as tables and verdicts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from dilation_nets import ARMS, GRIDS, bare_field
from orders import above, order
from studies import Verdict, judged

from jaxseg.training import records

Rows = Sequence[Mapping[str, Any]]
RESULTS = {
    "arm": str,
    "seed": int,
    "learning_rate": float,
    "features": int,
    "parameters": int,
    "multiply_adds": int,
    "field": int,
    "train_loss": float,
    "mean_iou": float,
    "pixel_accuracy": float,
    "step_milliseconds": float,
}
SEEN = {
    "arm": str,
    "seed": int,
    "stage": str,
    "width": float,
    "gridding_2": float,
    "gridding_4": float,
}
TOLERANCE = 0.15
"""Largest relative error of a mean width before training: a few nets of few features, on images
that are no noise."""
FIELDS, DILATION = "Receptive field: striding and dilation", "Dilation"


def best_rate(rows: Rows) -> float:
    """The learning rate with the lowest median training loss over the seeds."""
    losses: dict[float, list[float]] = {}
    for row in rows:
        losses.setdefault(row["learning_rate"], []).append(row["train_loss"])
    return min(losses, key=lambda rate: float(np.median(losses[rate])))


def at_best(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Arm -> its rows at its best rate, a row a seed."""
    found = {}
    for arm in (a for a in ARMS if any(row["arm"] == a for row in rows)):
        own = [row for row in rows if row["arm"] == arm]
        rate = best_rate(own)
        found[arm] = [row for row in own if row["learning_rate"] == rate]
    return found


def values(rows: Rows, column: str, arm: str, stage: str = "after") -> list[float]:
    """A value a seed of `seen.csv`."""
    return [row[column] for row in rows if (row["arm"], row["stage"]) == (arm, stage)]


def verdicts(results: Rows, seen: Rows, apart: Sequence[float]) -> list[Verdict]:
    """All claims; those whose arms were not run are left out."""
    best = at_best(results)
    found = [*_fields(best, seen, apart), *_brought(best), *_grids(best, seen)]
    return [verdict for verdict in found if verdict is not None]


def _fields(best, seen: Rows, apart: Sequence[float]) -> list[Verdict | None]:
    """What is seen, in theory and in effect."""
    strided, dilated = ARMS["strided"], ARMS["dilated"]
    sizes = {
        name: bare_field(arm, 161)[0]
        for name, arm in (("strided", strided), ("dilated", dilated), ("plain", ARMS["plain"]))
    }
    formula = 1 + 2 * sum(dilated.rates)
    exact = bool(np.max(apart) < 1e-5) and sizes["strided"] == sizes["dilated"] == formula
    return [
        Verdict(
            FIELDS,
            "Dilation sees what striding sees and keeps every pixel: with the same kernels the "
            f"strided net's scores are every {strided.output_stride}th of the dilated one's",
            "Yu & Koltun 2016, Yu et al. 2017",
            theory=f"field 1 + 2 sum of rates = {formula} pixels both, scores equal to 1e-5",
            measured=f"fields {sizes['strided']} and {sizes['dilated']} pixels (plain "
            f"{sizes['plain']}), largest difference {max(apart):.1e} of the largest score",
            seeds=len(apart),
            verdict=judged(exact),
        ),
        _walk(best, seen),
        _grown(best, seen),
        _compare(
            FIELDS,
            "After training the dilated net looks farther than the plain one",
            "Luo et al. 2016",
            "width of the effective field in pixels",
            lambda arm: values(seen, "width", arm),
            ("dilated", "plain"),
            best,
            digits=2,
        ),
        _compare(
            FIELDS,
            "After training the strided net looks farther than the plain one",
            "Luo et al. 2016",
            "width of the effective field in pixels",
            lambda arm: values(seen, "width", arm),
            ("strided", "plain"),
            best,
            digits=2,
        ),
    ]


def _walk(best, seen: Rows) -> Verdict:
    arms = [arm for arm in best if ARMS[arm].output_stride == 1]
    pairs = {arm: (ARMS[arm].walk, np.mean(values(seen, "width", arm, "before"))) for arm in arms}
    near = all(bool(abs(found / theory - 1) < TOLERANCE) for theory, found in pairs.values())
    return Verdict(
        FIELDS,
        "Before training the effective field is that of a random walk through the taps",
        "derived; Luo et al. 2016",
        theory=f"width sqrt(2/3 sum d^2) pixels within {TOLERANCE:.0%}: "
        + ", ".join(f"{arm} {theory:.2f}" for arm, (theory, _) in pairs.items()),
        measured=", ".join(f"{arm} {found:.2f}" for arm, (_, found) in pairs.items()),
        seeds=len(next(iter(best.values()))),
        verdict=judged(near if pairs else None),
    )


def _grown(best, seen: Rows) -> Verdict:
    steps = {
        arm: (values(seen, "width", arm), values(seen, "width", arm, "before")) for arm in best
    }
    found = [above(after, before) for after, before in steps.values()]
    agrees = False if False in found else True if None not in found else None
    return Verdict(
        FIELDS,
        "Training enlarges the effective field",
        "Luo et al. 2016",
        theory="width after > before, beyond the seeds' range, in every arm",
        measured=", ".join(
            f"{arm} {np.mean(b):.2f} to {np.mean(a):.2f} pixels" for arm, (a, b) in steps.items()
        ),
        seeds=len(next(iter(best.values()))),
        verdict=judged(agrees),
    )


def _brought(best) -> list[Verdict | None]:
    """What a larger field and a finer output bring."""
    asked = (
        (
            "At equal parameters and multiply-adds dilation fits better than plain convolutions",
            "Yu & Koltun 2016",
            "train_loss",
            ("dilated", "plain"),
        ),
        (
            "At equal parameters and multiply-adds dilation brings IoU over plain convolutions",
            "Yu & Koltun 2016",
            "mean_iou",
            ("dilated", "plain"),
        ),
        (
            "At equal parameters striding brings IoU over plain convolutions, "
            "at fewer multiply-adds",
            "asked here",
            "mean_iou",
            ("strided", "plain"),
        ),
        (
            "At equal parameters dilation brings IoU over striding",
            "Yu et al. 2017",
            "mean_iou",
            ("dilated", "strided"),
        ),
        (
            "At equal multiply-adds dilation brings IoU over a wider strided net",
            "asked here",
            "mean_iou",
            ("dilated", "strided_wide"),
        ),
    )
    return [_of_rows(claim, source, column, arms, best) for claim, source, column, arms in asked]


def _grids(best, seen: Rows) -> list[Verdict | None]:
    """Gridding and its cures."""
    there = [arm for arm in GRIDS if arm in best]
    cured = [arm for arm in there if arm != "cascade"]
    found: list[Verdict | None] = [_covered(there)]
    for arm in cured:
        source = "Yu et al. 2017" if arm == "degridded" else "Wang et al. 2018"
        found.append(
            _compare(
                DILATION,
                f"Equal rates leave more of their period in the trained logits than {arm}",
                source,
                "power at 1/2 cycle a pixel over its neighbours'",
                lambda name: values(seen, "gridding_2", name),
                ("cascade", arm),
                best,
                digits=2,
            )
        )
    for arm in cured:
        source = "Yu et al. 2017" if arm == "degridded" else "Wang et al. 2018"
        claim = f"{arm} brings IoU over equal rates"
        found.append(_of_rows(claim, source, "mean_iou", (arm, "cascade"), best))
    return found


def _covered(there: Sequence[str]) -> Verdict | None:
    if not there:
        return None
    theory = {arm: ARMS[arm].coverage for arm in there}
    found = {arm: bare_field(ARMS[arm], 161) for arm in there}
    as_expected = all((theory[a].size, theory[a].seen) == found[a] for a in there)
    cured = all(theory[a].full == (a != "cascade") for a in there)
    return Verdict(
        DILATION,
        "Equal rates see a grid; hybrid rates, and rates that end at 1, see every pixel",
        "Wang et al. 2018, Yu et al. 2017",
        theory=", ".join(f"{arm} {c.seen} of {c.size}" for arm, c in theory.items())
        + " pixels an axis",
        measured=", ".join(f"{arm} {seen} of {size}" for arm, (size, seen) in found.items())
        + " (traced)",
        seeds=0,
        verdict=judged(as_expected and cured),
    )


def _of_rows(claim: str, source: str, column: str, arms, best) -> Verdict | None:
    quantity = {"train_loss": "training loss in nats", "mean_iou": "mean IoU"}[column]
    return _compare(
        DILATION,
        claim,
        source,
        quantity,
        lambda arm: [row[column] for row in best[arm]],
        arms,
        best,
        larger_is_better=column != "train_loss",
    )


def _compare(
    heading,
    claim: str,
    source: str,
    quantity: str,
    of: Callable[[str], list[float]],
    arms: Sequence[str],
    best,
    **options: Any,
) -> Verdict | None:
    """`order`, of arms that are all there."""
    if any(arm not in best for arm in arms):
        return None
    return order(heading, claim, source, quantity, {arm: of(arm) for arm in arms}, **options)


def table(results: Rows, seen: Rows) -> list[str]:
    """A line an arm, at its best rate; ranges over the seeds."""
    lines = []
    for arm, rows in at_best(results).items():
        first, net = rows[0], ARMS[arm]
        loss, iou, accuracy = (
            _range([row[name] for row in rows])
            for name in ("train_loss", "mean_iou", "pixel_accuracy")
        )
        width, gridding = (
            " → ".join(
                f"{np.mean(values(seen, name, arm, stage)):.2f}" for stage in ("before", "after")
            )
            for name in ("width", f"gridding_{2 if max(net.rates) < 4 else 4}")
        )
        tried = {row["learning_rate"] for row in results if row["arm"] == arm}
        edge = " (end of the sweep)" if first["learning_rate"] in (min(tried), max(tried)) else ""
        lines.append(
            f"{arm} | {loss} | {iou} | {accuracy} | {first['features']} | {first['parameters']:,} "
            f"| {first['multiply_adds'] / 1e6:.2f} | {net.coverage.size}, {first['field']} | "
            f"{width} | {gridding} | {first['learning_rate']:g}{edge} | "
            f"{first['step_milliseconds']:.1f}"
        )
    head = (
        "arm | training loss | mean IoU | pixel accuracy | width | parameters | M multiply-adds | "
        "field of a score, of a logit (pixels) | effective width (pixels), before → after | "
        "gridding, before → after | learning rate | ms a step and run"
    )
    return records.markdown_table(head, lines)


def _range(numbers: Sequence[float]) -> str:
    return f"{np.mean(numbers):.3f} ({min(numbers):.3f} to {max(numbers):.3f})"
