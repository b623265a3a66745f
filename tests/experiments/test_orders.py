"""An order holds beyond the seeds' spread, or is not shown."""

import itertools

import orders
import pytest


@pytest.mark.parametrize(
    ("better", "worse", "found"),
    [
        ([0.5, 0.6], [0.3, 0.4], True),
        ([0.3, 0.4], [0.5, 0.6], False),
        ([0.3, 0.5], [0.4, 0.6], None),
        ([0.5, 0.6], [0.4, 0.5], None),  # they touch
        ([3.0, float("nan")], [1.0, 2.0], None),  # min() would not see this one
        ([float("nan"), 3.0], [1.0, 2.0], None),
        ([0.1, 0.2], [-float("inf")] * 2, True),  # a diverged arm
        ([0.5], [0.1], None),  # no spread is known of one seed
    ],
)
def test_only_ranges_apart_are_ordered(better, worse, found):
    assert orders.above(better, worse) is found


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_how_often_equal_arms_seem_ordered(seeds):
    """Counted over all ways to share out as many ranks."""
    ranks = range(2 * seeds)
    apart = [
        max(one) < min({*ranks} - {*one}) or min(one) > max({*ranks} - {*one})
        for one in itertools.combinations(ranks, seeds)
    ]
    assert orders.by_chance(seeds) == pytest.approx(sum(apart) / len(apart))


def judge(arms, **options):
    return orders.order("Dilation", "falls", "asked", "mean IoU", arms, **options)


def test_each_step_must_hold():
    a, b, c = [0.5, 0.6], [0.3, 0.4], [0.1, 0.2]
    assert judge({"a": a, "b": b, "c": c}).verdict == "agrees"
    assert judge({"a": a, "b": b, "c": [0.1, 0.35]}).verdict == "not shown"
    # One step the other way round is enough to disagree, whatever the others do.
    assert judge({"a": a, "c": c, "b": b}).verdict == "disagrees"
    assert judge({"c": c, "a": a}, larger_is_better=False).verdict == "agrees"


def test_what_is_written():
    found = judge({"a": [0.5, 0.6, 0.7], "b": [0.3, 0.4]}, digits=2)
    assert found.theory == "mean IoU: a > b, beyond the seeds' range"
    assert found.measured == "a 0.60 (0.50 to 0.70), b 0.35 (0.30 to 0.40)"
    assert found.seeds == 2


def test_of_one_arm_nothing_is_asked():
    found = judge({"a": [0.5, 0.6]})
    assert (found.verdict, found.seeds) == ("not shown", 2)
    assert "not asked: 1 of the arms" in found.theory
    assert judge({}).verdict == "not shown"
