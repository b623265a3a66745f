"""The dilation study's claims and table, from its rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.dilation.nets import ARMS, GRIDS, LABELS, bare_field
from jaxseg.studies import (
    Row,
    Table,
    Verdict,
    column,
    columns,
    is_above,
    judge,
    matching,
    none_trained,
    order,
    rate_text,
    shown_in,
    spread,
)

PERIODS = (2, 4)
"""Periods in pixels whose share of the logits' power is measured."""
FIELDS = {
    "arm": str,
    "seed": int,
    "learning_rate": float,
    "stage": str,
    "width": float,
    "gridding_2": float,
    "gridding_4": float,
}
"""Columns of fields.csv; "stage" is "before" or "after" training."""
TOLERANCE = 0.15
"""Largest relative error of a mean width before training: a few nets of few features, on images
that are no noise."""
FIELD_HEADING, DILATION = "Receptive field: striding and dilation", "Dilation"
OUTCOMES = (
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
        "At equal parameters striding brings IoU over plain convolutions, at fewer multiply-adds",
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
"""Claim, source, column of the results, arms in the order of the claim."""
Best = Mapping[str, Sequence[Row]]
"""Arm -> its rows at its best rate, one a seed."""


def field_values(fields: Sequence[Row], best: Best, column: str, arm: str, stage: str = "after"):
    """Collect a column of fields.csv for an arm at its best rate, one value a seed."""
    return [row[column] for row in matching(fields, best[arm], stage=stage)]


def verdicts(
    best: Best, fields: Sequence[Row], differences: Sequence[float], chance: float
) -> list[Verdict]:
    """Judge all claims; those whose arms were not run are left out.

    Args:
        best: From `at_best_rate`.
        fields: Rows of fields.csv.
        differences: From `nets.same_scores`, one a seed.
        chance: The loss of knowing nothing, in nats.
    """
    widths = [_random_walk(best, fields), _growth(best, fields, chance)]
    widths += _wider(best, fields, chance)
    exact = [_same_field(differences), *_coverage(best)]
    periods, ious = _gridding(best, fields, chance)
    return [
        *shown_in("effective_fields.png", exact),
        *shown_in("outcomes.png", [*widths, *_outcomes(best, chance)]),
        *shown_in("gridding.png", periods),
        *shown_in("outcomes.png", ious),
    ]


def _same_field(differences: Sequence[float]) -> Verdict:
    sizes = {name: bare_field(ARMS[name], 161)[0] for name in ("strided", "dilated", "plain")}
    formula = 1 + 2 * sum(ARMS["dilated"].rates)
    exact = bool(np.max(differences) < 1e-5) and sizes["strided"] == sizes["dilated"] == formula
    return Verdict(
        FIELD_HEADING,
        "Dilation sees what striding sees and keeps every pixel: with the same kernels the strided "
        f"net's scores are every {ARMS['strided'].output_stride}th of the dilated one's",
        "Yu & Koltun 2016, Yu et al. 2017",
        theory=f"field 1 + 2 Σ rates = {formula} pixels both, scores equal to 10⁻⁵",
        measured=f"fields {sizes['strided']} and {sizes['dilated']} pixels (plain "
        f"{sizes['plain']}), largest difference {max(differences):.1e} of the largest score",
        seeds=len(differences),
        verdict=judge(exact),
    )


def _random_walk(best: Best, fields: Sequence[Row]) -> Verdict:
    arms = [arm for arm in best if ARMS[arm].output_stride == 1]
    widths = {
        arm: float(np.mean(field_values(fields, best, "width", arm, "before"))) for arm in arms
    }
    near = all(abs(width / ARMS[arm].walk - 1) < TOLERANCE for arm, width in widths.items())
    return Verdict(
        FIELD_HEADING,
        "Before training the effective field is that of a random walk through the taps",
        "derived; Luo et al. 2016",
        theory=f"mean width √(⅔ Σd²) pixels within {TOLERANCE:.0%}: "
        + "; ".join(f"{LABELS[arm]} {ARMS[arm].walk:.2f}" for arm in arms),
        measured="; ".join(f"{LABELS[arm]} {width:.2f}" for arm, width in widths.items()),
        seeds=_seeds(best),
        verdict=judge(near if widths else None),
    )


def _growth(best: Best, fields: Sequence[Row], chance: float) -> Verdict:
    stages = {
        arm: [field_values(fields, best, "width", arm, stage) for stage in ("before", "after")]
        for arm in best
    }
    grown = [is_above(after, before) for before, after in stages.values()]
    agrees = False if False in grown else True if None not in grown else None
    verdict = Verdict(
        FIELD_HEADING,
        "Training enlarges the effective field",
        "Luo et al. 2016",
        theory="width after > before, beyond the seeds' range, in every arm",
        measured="; ".join(
            f"{LABELS[arm]} {np.median(before):.2f} to {np.median(after):.2f} pixels"
            for arm, (before, after) in stages.items()
        ),
        seeds=_seeds(best),
        verdict=judge(agrees),
    )
    return verdict.unless(none_trained(columns(best, "train_loss"), chance))


def _wider(best: Best, fields: Sequence[Row], chance: float) -> list[Verdict]:
    return [
        order(
            FIELD_HEADING,
            f"After training the {wide} net looks farther than the plain one",
            "Luo et al. 2016",
            "width of the effective field in pixels",
            {LABELS[arm]: field_values(fields, best, "width", arm) for arm in (wide, "plain")},
            digits=2,
        ).unless(_untrained(best, (wide, "plain"), chance))
        for wide in ("dilated", "strided")
        if {wide, "plain"} <= {*best}
    ]


def _untrained(best: Best, arms: Sequence[str], chance: float) -> str:
    """Name arms of which none has learned; "" if one has."""
    return none_trained({LABELS[arm]: column(best[arm], "train_loss") for arm in arms}, chance)


def _outcomes(best: Best, chance: float) -> list[Verdict]:
    """Judge what a larger field and a finer output bring."""
    return [
        _order_of(best, claim, source, outcome, arms, chance)
        for claim, source, outcome, arms in OUTCOMES
        if {*arms} <= {*best}
    ]


def _coverage(best: Best) -> list[Verdict]:
    arms = [arm for arm in GRIDS if arm in best]
    if not arms:
        return []
    theory = {arm: ARMS[arm].coverage for arm in arms}
    traced = {arm: bare_field(ARMS[arm], 161) for arm in arms}
    as_expected = all((theory[arm].size, theory[arm].seen) == traced[arm] for arm in arms)
    remedied = all(theory[arm].full == (arm != "cascade") for arm in arms)
    return [
        Verdict(
            DILATION,
            "Equal rates see a grid; hybrid rates, and rates that end at 1, see every pixel",
            "Wang et al. 2018, Yu et al. 2017",
            theory="; ".join(f"{LABELS[arm]} {c.seen} of {c.size}" for arm, c in theory.items())
            + " pixels along an axis",
            measured="; ".join(
                f"{LABELS[arm]} {seen} of {size}" for arm, (size, seen) in traced.items()
            )
            + " (traced)",
            seeds=0,
            verdict=judge(as_expected and remedied),
        )
    ]


def _gridding(
    best: Best, fields: Sequence[Row], chance: float
) -> tuple[list[Verdict], list[Verdict]]:
    """Judge the remedies against equal rates: what is left of the period, and the IoU."""
    if "cascade" not in best:
        return [], []
    remedies = {arm: "Wang et al. 2018" for arm in GRIDS if arm in best and arm != "cascade"}
    remedies |= {"degridded": "Yu et al. 2017"} if "degridded" in best else {}
    periods = [
        order(
            DILATION,
            f"Equal rates leave more of their period in the trained logits than {LABELS[arm]}",
            source,
            "power at ½ cycle a pixel over its neighbors'",
            {
                LABELS[name]: field_values(fields, best, "gridding_2", name)
                for name in ("cascade", arm)
            },
            digits=2,
        ).unless(_untrained(best, ("cascade", arm), chance))
        for arm, source in remedies.items()
    ]
    ious = [
        _order_of(
            best,
            f"{LABELS[arm].capitalize()} brings IoU over equal rates",
            source,
            "mean_iou",
            (arm, "cascade"),
            chance,
        )
        for arm, source in remedies.items()
    ]
    return periods, ious


def _order_of(
    best: Best, claim: str, source: str, outcome: str, arms: Sequence[str], chance: float
) -> Verdict:
    """Judge the order of two arms in a column of the results."""
    return order(
        DILATION,
        claim,
        source,
        {"train_loss": "training loss in nats", "mean_iou": "mean IoU"}[outcome],
        {LABELS[arm]: column(best[arm], outcome) for arm in arms},
        larger_is_better=outcome != "train_loss",
    ).unless(_untrained(best, arms, chance))


def _seeds(best: Best) -> int:
    return min(len(rows) for rows in best.values())


def arm_table(results: Sequence[Row], best: Best, fields: Sequence[Row]) -> Table:
    """Tabulate the arms at their best rates."""
    rows = []
    for arm, runs in best.items():
        first, net = runs[0], ARMS[arm]
        outcomes = (
            spread([row[name] for row in runs])
            for name in ("train_loss", "mean_iou", "pixel_accuracy")
        )
        changes = (
            " → ".join(
                f"{np.median(field_values(fields, best, name, arm, stage)):.2f}"
                for stage in ("before", "after")
            )
            for name in ("width", f"gridding_{2 if max(net.rates) < 4 else 4}")
        )
        rows.append(
            [
                LABELS[arm],
                *outcomes,
                first["features"],
                f"{first['parameters']:,}",
                f"{first['multiply_adds'] / 1e6:.2f}",
                f"{net.coverage.size}, {first['field']}",
                *changes,
                rate_text(results, runs),
                f"{first['step_milliseconds']:.1f}",
            ]
        )
    return Table.of(
        "Each arm at its best rate",
        (
            "arm",
            "training loss",
            "mean IoU",
            "pixel accuracy",
            "features",
            "parameters",
            "M multiply-adds",
            "field of a score, of a logit (pixels)",
            "effective width (pixels), before → after",
            "gridding, before → after",
            "learning rate",
            "ms a step and run",
        ),
        rows,
    )
