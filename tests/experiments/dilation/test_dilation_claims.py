"""Verdicts of the dilation study from rows by hand, at their boundaries."""

import numpy as np
import pytest

from experiments.dilation import claims
from experiments.dilation.nets import ARMS
from jaxseg.studies import at_best_rate


def rows(values, column):
    """Rows of two rates, the second one better by its median, its values a seed.

    By the mean the first one would be better.
    """
    blank = {"features": 4, "parameters": 1000, "multiply_adds": 10**6, "field": 29}
    blank |= {"step_milliseconds": 1.0, "mean_iou": 1.0, "pixel_accuracy": 1.0}
    losses = {1: (2.0, 2.0, 2.0), 2: (1.0, 1.0, 9.0)}
    return [
        {
            **blank,
            "arm": arm,
            "seed": seed,
            "learning_rate": rate,
            "train_loss": losses[rate][seed],
            column: value if rate == 2 else 9.0,
        }
        for arm, seeds in values.items()
        for rate in losses
        for seed, value in enumerate(seeds)
    ]


def fields(widths, grids=None):
    """Rows of fields.csv at the second rate, and others at the first."""
    at_best = [
        {
            "arm": arm,
            "seed": seed,
            "learning_rate": 2,
            "stage": stage,
            "width": width,
            "gridding_2": grid,
            "gridding_4": 7.0,
        }
        for arm, stages in widths.items()
        for stage, values in zip(("before", "after"), stages, strict=True)
        for seed, (width, grid) in enumerate(
            zip(values, (grids or {}).get(arm, (1.0,) * len(values)), strict=True)
        )
    ]
    other = [{**row, "learning_rate": 1, "width": 99.0, "gridding_2": 99.0} for row in at_best]
    return other + at_best


def verdict(verdicts, words):
    (one,) = [v.verdict for v in verdicts if words in v.claim]
    return one


WALKS = {arm: ARMS[arm].walk for arm in ("plain", "dilated", "cascade", "degridded")}
WIDTHS = {arm: ([w, w, 1.01 * w], [1.2 * w, 1.25 * w, 1.3 * w]) for arm, w in WALKS.items()}
IOUS = {
    "plain": [0.5, 0.55, 0.6],
    "dilated": [0.7, 0.75, 0.8],
    "cascade": [0.6, 0.65, 0.7],
    "degridded": [0.65, 0.7, 0.8],
}
BEST = at_best_rate(rows(IOUS, "mean_iou"))
CHANCE = 2.0


def test_verdicts_follow_the_numbers_at_the_best_rate():
    grids = {"cascade": (3.0, 3.5, 4.0), "degridded": (1.0, 1.0, 1.1)}
    assert {row["learning_rate"] for row in BEST["plain"]} == {2}
    verdicts = claims.verdicts(BEST, fields(WIDTHS, grids), [0.0, 1e-7], CHANCE)
    for words in (
        "keeps every pixel",
        "random walk",
        "enlarges",
        "dilated net looks farther",
        "IoU over plain convolutions",
        "Equal rates see a grid",
        "period in the trained logits than degridded",
    ):
        assert verdict(verdicts, words) == "agrees", words
    assert verdict(verdicts, "Degridded brings IoU") == "not shown"
    assert verdict(verdicts, "fits better") == "not shown"
    assert not [v for v in verdicts if "strided net looks" in v.claim or "hybrid 1" in v.claim]
    assert {v.heading for v in verdicts} == {claims.FIELD_HEADING, claims.DILATION}
    shrunk = {arm: (before, [0.5 * b for b in before]) for arm, (before, _) in WIDTHS.items()}
    verdicts = claims.verdicts(BEST, fields(shrunk), [0.1], CHANCE)
    assert verdict(verdicts, "enlarges") == "disagrees"
    assert verdict(verdicts, "keeps every pixel") == "disagrees"
    assert verdict(verdicts, "dilated net looks farther") == "agrees"


def test_one_arm_whose_field_stays_leaves_growth_unshown():
    widths = {**WIDTHS, "plain": ([2.0, 2.0, 2.0], [1.9, 2.0, 2.1])}
    assert verdict(claims.verdicts(BEST, fields(widths), [0.0], CHANCE), "enlarges") == "not shown"
    widths["plain"] = ([2.0, 2.0, 2.1], [1.7, 1.8, 1.9])
    assert verdict(claims.verdicts(BEST, fields(widths), [0.0], CHANCE), "enlarges") == "disagrees"


@pytest.mark.parametrize(
    ("factor", "word"),
    [(1.14, "agrees"), (1.16, "disagrees"), (0.86, "agrees"), (0.84, "disagrees")],
)
def test_the_walk_is_judged_by_the_mean_width(factor, word):
    """Of one arm, before training; the seeds' median is another one."""
    width = factor * ARMS["plain"].walk
    before = [width - 0.5, width - 0.5, width + 1.0]
    widths = {**WIDTHS, "plain": (before, [9.0, 9.0, 9.0])}
    assert verdict(claims.verdicts(BEST, fields(widths), [0.0], CHANCE), "random walk") == word


@pytest.mark.parametrize(
    ("differences", "word"), [([9e-6, 0.0], "agrees"), ([0.0, 1.1e-5], "disagrees")]
)
def test_the_same_scores_are_equal_in_every_net(differences, word):
    verdicts = claims.verdicts(BEST, fields(WIDTHS), differences, CHANCE)
    assert verdict(verdicts, "keeps every pixel") == word
    assert verdicts[0].seeds == 2


def test_no_net_at_full_resolution_says_nothing_of_a_walk():
    best = at_best_rate(rows({"strided": [0.5, 0.5, 0.6]}, "mean_iou"))
    verdicts = claims.verdicts(
        best, fields({"strided": ([2.0] * 3, [2.0] * 3)}), [0.0, 1e-7], CHANCE
    )
    assert verdict(verdicts, "random walk") == "not shown"
    assert not [v for v in verdicts if "see a grid" in v.claim]


def test_outcomes_are_compared_the_right_way_round():
    """What is claimed to be better has the larger IoU and the smaller loss."""
    arms = {"plain": 0.5, "strided": 0.4, "dilated": 0.3, "strided_wide": 0.2}
    ious = {arm: [v, v, v + 0.01] for arm, v in arms.items()}
    best = at_best_rate(rows(ious, "mean_iou"))
    losses = {"plain": 0.5, "dilated": 0.3}
    best = {
        arm: [{**row, "train_loss": losses.get(arm, 0.1) + 0.001 * row["seed"]} for row in runs]
        for arm, runs in best.items()
    }
    widths = {arm: ([1.0] * 3, [1.0] * 3) for arm in arms}
    verdicts = claims.verdicts(best, fields(widths), [0.0], CHANCE)
    assert verdict(verdicts, "dilation fits better than plain") == "agrees"
    assert verdict(verdicts, "dilation brings IoU over plain") == "disagrees"
    assert verdict(verdicts, "striding brings IoU over plain") == "disagrees"
    assert verdict(verdicts, "dilation brings IoU over striding") == "disagrees"
    assert verdict(verdicts, "over a wider strided net") == "agrees"


def test_nets_that_learned_nothing_show_no_order():
    """Whatever the order of their IoU and widths, it is one of chance."""
    grids = {"cascade": (3.0, 3.5, 4.0), "degridded": (1.0, 1.0, 1.1)}
    judged = claims.verdicts(BEST, fields(WIDTHS, grids), [0.0], chance=1.4)
    shown = {v.claim.split(":")[0] for v in judged if v.verdict != "not shown"}
    assert len(shown) == 3
    exact = ("keeps every pixel", "random walk", "Equal rates see a grid")
    assert all(any(words in claim for words in exact) for claim in shown)


def test_every_remedy_is_asked_of_where_equal_rates_were_run():
    arms = ("cascade", "hybrid_123", "hybrid_125", "degridded", "plain")
    best = at_best_rate(rows({arm: [0.5, 0.5, 0.6] for arm in arms}, "mean_iou"))
    widths = {arm: ([1.0] * 3, [1.0] * 3) for arm in arms}
    grids = {"cascade": (2.0, 2.0, 2.0), "hybrid_123": (3.0, 3.0, 3.0)}
    verdicts = claims.verdicts(best, fields(widths, grids), [0.0], CHANCE)
    judged = {v.claim.rsplit(" ", 1)[1]: v for v in verdicts if "leave more of" in v.claim}
    assert {arm: v.verdict for arm, v in judged.items()} == {
        "1-2-3": "disagrees",
        "1-2-5": "agrees",
        "degridded": "agrees",
    }
    assert judged["degridded"].source == "Yu et al. 2017"
    without = {arm: runs for arm, runs in best.items() if arm != "cascade"}
    verdicts = claims.verdicts(without, fields(widths), [0.0], CHANCE)
    assert not [v for v in verdicts if "qual rates leave" in v.claim or "over equal" in v.claim]
    # What a grid's coverage is needs no equal rates.
    assert verdict(verdicts, "Equal rates see a grid") == "agrees"


def test_arms_are_tabulated_at_their_best_rate():
    table = claims.arm_table(rows(IOUS, "mean_iou"), BEST, fields(WIDTHS))
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["mean IoU"] == "0.550 (0.500 to 0.600)"
    assert cells["training loss"] == "1.000 (1.000 to 9.000)"
    assert cells["field of a score, of a logit (pixels)"] == "13, 29"
    assert cells["effective width (pixels), before → after"] == "2.00 → 2.50"
    assert cells["M multiply-adds"] == "1.00"
    assert cells["learning rate"] == "2 (highest tried)"
    # The period that is shown is that of the largest rate.
    gridding = {row[0]: row[-3] for row in table.rows}
    assert gridding["equal rates"] == "1.00 → 1.00"
    assert gridding["dilated"] == "7.00 → 7.00"


def test_field_values_are_selected_by_stage_and_rate():
    widths = {"plain": ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])}
    table = fields(widths)
    assert claims.field_values(table, BEST, "width", "plain", "before") == [1, 2, 3]
    assert claims.field_values(table[::-1], BEST, "width", "plain") == [4, 5, 6]
    assert np.all(np.array([row["width"] for row in table[: len(table) // 2]]) == 99)
