"""Arms are compared at their own best rates, by one rule."""

import numpy as np
import pytest

from jaxseg.studies import (
    at_best_rate,
    at_best_rate_by,
    best_rate,
    columns,
    matching,
    measured_over,
    rate_text,
    spread,
)


def runs(arm, losses, **more):
    """Rows of an arm: rate -> losses by seed, listed in an order that must not matter."""
    return [
        {"arm": arm, "learning_rate": rate, "seed": seed, "train_loss": loss, **more}
        for rate, values in losses.items()
        for seed, loss in reversed([*enumerate(values)])
    ]


ROWS = runs("a", {0.2: (0.1, 0.5, 0.5), 0.1: (9.0, 0.4, 0.3)}) + runs("b", {0.1: (1.0, 2.0, 3.0)})


def test_the_best_rate_has_the_lowest_median_loss():
    assert best_rate(runs("a", {0.2: (0.1, 0.5, 0.5), 0.1: (9.0, 0.4, 0.3)})) == 0.1
    # The mean would choose the other one.
    assert best_rate(runs("a", {0.2: (0.5, 0.5, 0.5), 0.1: (9.0, 0.4, 0.4)})) == 0.1


def test_a_rate_tried_with_fewer_seeds_is_never_the_best():
    rows = runs("a", {0.1: (0.5, 0.6, 0.7), 0.2: (0.1,), 0.3: (0.4, 0.8, 0.9)})
    assert best_rate(rows) == 0.1
    assert best_rate([*rows, *runs("a", {0.2: (0.1, 0.1, 0.1)})[:2]]) == 0.2


def test_a_diverged_rate_is_no_better_than_a_bad_one():
    assert best_rate(runs("a", {0.1: (5.0, 5.0), 0.2: (float("inf"), 0.1)})) == 0.1


def test_of_no_runs_there_is_no_best():
    with pytest.raises(ValueError, match="train the arm first"):
        best_rate([])


def test_rows_at_the_best_rate_are_in_the_order_of_the_seeds():
    best = at_best_rate(ROWS, ("b", "a", "c"))
    assert list(best) == ["b", "a"]
    assert columns(best, "train_loss")["a"].tolist() == [9.0, 0.4, 0.3]
    assert list(at_best_rate(ROWS)) == ["a", "b"]


def test_each_depth_has_a_best_rate_of_its_own():
    rows = runs("a", {0.1: (1.0,), 0.2: (2.0,)}, depth=8) + runs(
        "a", {0.1: (4.0,), 0.2: (3.0,)}, depth=4
    )
    best = at_best_rate_by(rows, "depth")
    rates = {depth: found[0]["learning_rate"] for depth, found in best["a"].items()}
    assert list(rates.items()) == [(4, 0.2), (8, 0.1)]


def test_arms_at_their_best_rates_by_depth_stand_in_the_order_asked_for():
    rows = [row for arm in "abc" for row in runs(arm, {0.1: (1.0,)}, depth=4)]
    assert list(at_best_rate_by(rows, "depth")) == ["a", "b", "c"]
    assert list(at_best_rate_by(rows, "depth", ("c", "d", "a"))) == ["c", "a"]


def test_rows_of_another_table_are_matched_by_run():
    best = at_best_rate(ROWS, ("a",))["a"]
    steps = [{**row, "step": step} for step in (2, 1) for row in ROWS]
    chosen = matching(steps, best, step=1)
    assert [(row["seed"], row["train_loss"], row["step"]) for row in chosen] == [
        (0, 9.0, 1),
        (1, 0.4, 1),
        (2, 0.3, 1),
    ]


def test_a_rate_at_an_end_of_the_sweep_is_said_so():
    best = at_best_rate(ROWS)
    assert rate_text(ROWS, best["a"]) == "0.1 (lowest tried)"
    assert rate_text(ROWS, best["b"]) == "0.1"
    middle = runs("a", {0.1: (3.0,), 0.2: (1.0,), 0.3: (2.0,)})
    assert rate_text(middle, at_best_rate(middle)["a"]) == "0.2"
    last = runs("a", {0.1: (3.0,), 0.2: (1.0,)})
    assert rate_text(last, at_best_rate(last)["a"]) == "0.2 (highest tried)"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.5], "0.50"),
        ([0.1, 0.2, 0.9], "0.20 (0.10 to 0.90)"),
        (np.array([1.0, 2.0]), "1.50 (1.00 to 2.00)"),
        ([0.1, float("inf"), float("inf")], "∞ (0.10 to ∞)"),
        ([0.1, float("nan"), 0.3], "0.20 (0.10 to 0.30; 1 of 3 undefined)"),
        ([0.1, float("nan")], "0.10 (1 of 2 undefined)"),
        ([float("nan")] * 3, "undefined"),
        ([], "none"),
    ],
)
def test_one_statistic_is_printed_in_one_way(values, text):
    assert spread(values, 2) == text


def test_values_over_many_decades_have_significant_digits():
    values = [0.00123, 12345.0, 1.0]
    assert spread(values, significant=True) == "1 (0.00123 to 1.23e+04)"
    assert spread(values, 2, significant=True) == "1 (0.0012 to 1.2e+04)"
    assert spread(values[:1], significant=True) == "0.00123"


def test_it_is_said_what_was_measured_over():
    assert measured_over(ROWS).startswith(
        "3 seeds; each arm at its own best of the learning rates 0.1, 0.2"
    )
