"""A verdict is computed from numbers; where they cannot tell, nothing is shown."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from jaxseg.studies import (
    chance_of_order,
    hardly_trained,
    is_above,
    judge,
    judge_within,
    none_trained,
    order,
    shown_in,
)

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("first", "second", "above"),
    [
        ([0.5, 0.6], [0.3, 0.4], True),
        ([0.3, 0.4], [0.5, 0.6], False),
        ([0.3, 0.5], [0.4, 0.6], None),
        ([0.5, 0.6], [0.4, 0.5], None),  # they touch
        ([3.0, NAN], [1.0, 2.0], None),  # min() would not see this one
        ([NAN, 3.0], [1.0, 2.0], None),
        ([0.1, 0.2], [-INF] * 2, True),  # a diverged arm
        ([0.5], [0.1], None),  # no spread is known of one seed
        ([0.5, 0.6], [], None),
    ],
)
def test_only_ranges_apart_are_ordered(first, second, above):
    assert is_above(first, second) is above
    assert is_above(np.array(first), np.array(second)) is above


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_how_often_equal_arms_seem_ordered(seeds):
    """Counted over all ways to share out as many ranks."""
    ranks = range(2 * seeds)
    apart = [
        max(one) < min({*ranks} - {*one}) or min(one) > max({*ranks} - {*one})
        for one in itertools.combinations(ranks, seeds)
    ]
    assert chance_of_order(seeds) == pytest.approx(sum(apart) / len(apart))


def judged(arms, **options):
    return order("Dilation", "falls", "asked", "mean IoU", arms, **options)


def test_each_step_of_an_order_must_hold():
    a, b, c = [0.5, 0.6], [0.3, 0.4], [0.1, 0.2]
    assert judged({"a": a, "b": b, "c": c}).verdict == "agrees"
    assert judged({"a": a, "b": b, "c": [0.1, 0.35]}).verdict == "not shown"
    # One step the other way round is enough to disagree, whatever the others do.
    assert judged({"a": a, "c": c, "b": b}).verdict == "disagrees"
    assert judged({"c": c, "a": a}, larger_is_better=False).verdict == "agrees"


def test_an_order_says_what_was_measured():
    verdict = judged({"a": [0.5, 0.6, 0.8], "b": [0.3, 0.4]}, digits=2)
    assert verdict.theory == "mean IoU: a > b, beyond the seeds' range"
    assert verdict.measured == "a 0.60 (0.50 to 0.80); b 0.35 (0.30 to 0.40)"
    assert (verdict.seeds, verdict.exploratory) == (2, False)
    below = judged({"b": [0.3, 0.4], "a": [0.5, 0.6]}, larger_is_better=False)
    assert below.theory == "mean IoU: b < a, beyond the seeds' range"
    assert judged({"a": [0.5], "b": [0.3]}, exploratory=True).exploratory


def test_of_one_arm_nothing_is_asked():
    verdict = judged({"a": [0.5, 0.6]})
    assert (verdict.verdict, verdict.seeds) == ("not shown", 2)
    assert "not asked: 1 of the arms" in verdict.theory
    assert judged({}).verdict == "not shown"


def test_a_reason_takes_a_verdict_back():
    verdict = judged({"a": [0.5, 0.6], "b": [0.3, 0.4]})
    assert verdict.unless("") is verdict
    back = verdict.unless("no arm learns")
    assert back == replace(
        verdict, verdict="not shown", measured=f"{verdict.measured}; no arm learns"
    )


def test_verdicts_are_shown_in_a_figure():
    verdict = judged({"a": [0.5, 0.6], "b": [0.3, 0.4]})
    assert verdict.figure == ""
    assert shown_in("a.png", [verdict, None]) == [replace(verdict, figure="a.png")]


@pytest.mark.parametrize(
    ("measured", "error", "word"),
    [
        (1.04, 0.01, "agrees"),
        ([1.04, 0.96], [0.01, 0.01], "agrees"),
        (1.06, 0.01, "not shown"),  # outside by less than three standard errors
        (1.079, 0.01, "not shown"),
        (1.081, 0.01, "disagrees"),
        (1.09, 0.01, "disagrees"),
        ([1.0, 1.09], 0.01, "disagrees"),
        (1.0, 0.05, "not shown"),  # an error as large as the tolerance tells nothing
        (1.0, 0.049, "agrees"),
        ([1.0, 1.0], [0.01, 0.06], "not shown"),  # one that is known tells nothing of the other
        (1.0, NAN, "not shown"),
        (NAN, 0.01, "not shown"),
        (INF, 0.01, "not shown"),
        ([], [], "not shown"),
    ],
)
def test_a_measurement_is_judged_by_tolerance_and_error(measured, error, word):
    assert judge_within(np.array(measured), 1.0, 0.05, np.array(error)) == word
    assert judge_within(np.array(measured), 1.0, 0.05, np.array(error), able=False) == "not shown"


@pytest.mark.parametrize(
    ("agrees", "word"), [(True, "agrees"), (False, "disagrees"), (None, "not shown")]
)
def test_what_cannot_be_told_is_said_so(agrees, word):
    assert judge(agrees) == word


def test_nets_that_know_less_than_a_third_are_named():
    losses = {"a": [0.1, 0.59, 9.0], "b": np.array([0.6, 0.6]), "c": [NAN, 0.1], "d": [0.5, INF]}
    assert hardly_trained(losses, 0.9) == (
        "hardly trained: b (0.60 of 0.90 nats), c (nan of 0.90 nats), d (inf of 0.90 nats)"
    )
    assert hardly_trained({"a": losses["a"]}, 0.9) == ""
    assert hardly_trained({}, 0.9) == ""


def test_an_order_needs_one_net_that_has_learned():
    losses = {"a": [0.61, 0.62], "b": [0.59, 0.9]}
    assert none_trained(losses, 0.9).startswith("hardly trained: a (0.61 of 0.90 nats), b (0.74")
    assert none_trained({**losses, "c": [0.1, 0.2]}, 0.9) == ""
    assert none_trained({}, 0.9) == ""


def test_a_verdict_is_one_of_three_words():
    verdict = judged({"a": [0.5, 0.6], "b": [0.3, 0.4]})
    with pytest.raises(ValueError, match="'perhaps' must be one of agrees, disagrees, not shown"):
        replace(verdict, verdict="perhaps")
