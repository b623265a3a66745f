"""Verdicts of the study of paths from numbers by hand, at their boundaries."""

import math
import re

import numpy as np
import pytest

from experiments.paths import claims
from experiments.paths.claims import ByLength, Curves, Losses
from experiments.paths.config import Config

CHANCE = 1.1


@pytest.mark.parametrize(
    ("plain", "residual", "word"),
    [
        ([0.8, 0.9], [0.12, 0.15], "agrees"),
        ([0.51, 0.9], [0.12, 0.19], "agrees"),
        ([0.49, 0.9], [0.12, 0.15], "not shown"),
        ([0.8, 0.9], [0.12, 0.21], "not shown"),
        ([0.3, 0.4], [0.12, 0.15], "not shown"),  # in order, but not fatal
        ([0.3, 0.8], [0.2, 0.4], "not shown"),  # the seeds overlap
        ([0.2, 0.3], [0.8, 0.9], "disagrees"),
        ([np.nan, 0.9], [0.12, 0.15], "not shown"),
    ],
)
def test_one_block_is_judged_by_the_seeds(plain, residual, word):
    """Nets' loss is .1, where 1.1 is chance; the second seed of a net may know nothing."""
    assert _without_a_block(plain, residual, 0.1) == word
    assert _without_a_block(plain, residual, 0.98) == word
    assert _without_a_block(plain, residual, 1.0) == "not shown"
    assert _without_a_block(plain, residual, 1.2) == "not shown"


def _without_a_block(plain, residual, second):
    """Judge nets that lose these shares of what they know, in the median over three blocks."""
    arms = {}
    for arm, lost, whole in (("plain", plain, 0.1), ("residual", residual, second)):
        wholes = np.array([0.1, whole])
        after = wholes + np.array(lost) * (CHANCE - wholes)
        arms[arm] = Losses(wholes, np.stack([after, after, after + 9], axis=1), {}, {})
    return claims._one_block(arms, "plain", "residual", CHANCE).verdict


@pytest.mark.parametrize(("whole", "word"), [(0.73, "agrees"), (0.74, "not shown")])
def test_nets_must_know_a_third_to_lose_it(whole, word):
    """In the median over the seeds: chance is 1.1, and a third of it .367."""
    arms = {
        "plain": Losses(np.full(3, whole), np.full((3, 2), 1.1), {}, {}),
        "residual": Losses(np.full(3, 0.1), np.full((3, 2), 0.2), {}, {}),
    }
    assert claims._one_block(arms, "plain", "residual", CHANCE).verdict == word


def more(*medians, kind="delete", chance=CHANCE):
    """Judge nets whose loss is the first number whole, and the next ones after lesions."""
    steps = {2**n: np.array([m - 0.2, m, m + 0.3]) for n, m in enumerate(medians[1:])}
    empty = {"delete": {}, "shuffle": {}, kind: steps}
    losses = Losses(np.full(3, medians[0]), np.ones((3, 5)), **empty)
    return claims._more("residual", losses, kind, chance)


@pytest.mark.parametrize("kind", ["delete", "shuffle"])
@pytest.mark.parametrize(
    ("medians", "word"),
    [
        ((0.2, 0.3, 0.4), "agrees"),
        ((0.2, 0.3, 0.2891), "agrees"),  # down by less than a hundredth of chance
        ((0.2, 0.3, 0.2889), "disagrees"),
        ((0.2, 0.3, 0.21, 0.5), "disagrees"),
        ((0.2, 0.1995, 0.2), "disagrees"),  # in all it does not rise
        ((0.2, 0.1895, 0.2001), "agrees"),
        ((0.733, 0.8, 0.9), "agrees"),
        ((0.734, 0.8, 0.9), "not shown"),  # it knows less than a third
        ((0.2, np.nan, 0.4), "not shown"),
    ],
)
def test_the_loss_must_rise_step_by_step(kind, medians, word):
    verdict = more(*medians, kind=kind)
    assert verdict.verdict == word
    assert "5-block" in verdict.claim
    assert ("are removed" in verdict.claim) == (kind == "delete")
    assert ("are moved" in verdict.claim) == (kind == "shuffle")


def test_lesions_are_judged_for_the_arms_that_stand_against_each_other():
    losses = Losses(
        np.full(2, 0.1), np.full((2, 4), 0.15), {1: np.full(2, 0.2)}, {2: np.full(2, 0.2)}
    )
    deep = {"residual": losses, "plain_isometric": losses}
    shallow = {"residual": losses, "residual_norm": losses, "plain_norm": losses}
    claimed = [v.claim for v in claims.lesion_verdicts([deep, shallow], CHANCE)]
    assert [re.findall("“(.*?)”", claim) for claim in claimed] == [
        ["plain, isometric", "residual"],
        ["plain, batch norm", "residual, batch norm"],
        ["residual"],
        ["residual"],
    ]
    assert ["are removed" in claimed[2], "are moved" in claimed[3]] == [True, True]


def after(short):
    """Curves of shares at lengths 1 and 50, a seed each."""
    values = np.zeros((2, 55))
    values[:, 1], values[:, 50] = short, 1 - np.array(short)
    before = np.full((2, 55), 1 / 55)
    return ByLength(before, before[0], values)


def short_paths(short, poor=""):
    exact, sampled = after(short), after(np.add(short, [-0.03, 0.01]))
    return claims._short(Config(), Curves(exact, exact, sampled), poor)


@pytest.mark.parametrize(
    ("short", "words"),
    [
        ([0.95, 0.97], ["agrees", "agrees", "not shown"]),
        ([0.94, 0.92], ["agrees", "agrees", "not shown"]),
        ([0.85, 0.97], ["not shown", "not shown", "not shown"]),
        ([0.6, 0.7], ["disagrees", "disagrees", "not shown"]),
        ([np.nan, 0.97], ["not shown"] * 3),
    ],
)
def test_short_paths_are_judged_by_every_seed(short, words):
    """The longer ones are overstated by sampling in the median, but not in every seed."""
    assert [v.verdict for v in short_paths(short)] == words


def test_nets_that_learned_nothing_say_nothing_of_training():
    verdicts = short_paths([0.95, 0.97], poor="hardly trained")
    assert [v.verdict for v in verdicts] == ["not shown"] * 3
    exact, sampled = after([0.95, 0.97]), after([0.9, 0.9])
    overstated = claims._short(Config(), Curves(exact, exact, sampled), "hardly trained")[2]
    assert overstated.verdict == "agrees"  # it is a matter of algebra, not of training
    understated = claims._short(Config(), Curves(sampled, exact, exact), "")[2]
    assert understated.verdict == "disagrees"


@pytest.mark.parametrize(("length", "agrees"), [(17, True), (18, False)])
def test_the_longest_of_the_short_paths_has_seventeen_branches(length, agrees):
    """Of 54 blocks; of 108 it is twice as many."""
    values = np.zeros((2, 55))
    values[:, length] = 1
    curve = ByLength(values, values[0], values)
    verdict = claims._short(Config(), Curves(curve, curve, curve), "")[0]
    assert verdict.verdict == ("agrees" if agrees else "disagrees")
    assert "at most 17 of 54" in verdict.claim
    within = "from 5 on 100.0 %" if agrees else "from 5 on 0.0 %"
    assert within in verdict.measured


def law(lengths, arm="residual"):
    """Judge seeds all of whose gradient comes through one length, where theory says 20."""
    before, theory = np.zeros((len(lengths), 41)), np.zeros(41)
    for seed, length in enumerate(lengths):
        low = int(length)
        before[seed, low], before[seed, low + 1] = low + 1 - length, length - low
    theory[20] = 1
    return claims._law(Config(), arm, ByLength(before, theory))


@pytest.mark.parametrize(
    ("lengths", "word"),
    [
        ((20, 21), "agrees"),
        ((22.9, 23.05), "agrees"),
        ((17.1, 17), "agrees"),
        ((22.9, 23.2), "not shown"),  # their mean is outside, one of them is not
        ((16.8, 17.1), "not shown"),
        ((23.1, 24), "disagrees"),
        ((16.9, 16), "disagrees"),
        ((20,), "not shown"),
        ((np.nan, 20), "not shown"),
    ],
)
def test_mean_lengths_are_judged_within_fifteen_percent(lengths, word):
    if np.isnan(lengths).any():
        before = np.full((2, 41), np.nan)
        verdict = claims._law(Config(), "residual", ByLength(before, np.eye(41)[20]))
    else:
        verdict = law(lengths)
    assert verdict.verdict == word
    assert "20.00 of 54" in verdict.theory


def test_a_distance_that_is_not_a_number_is_noticed():
    """max() of Python finds NaN only where it comes first."""

    def verdict(*distances):
        rows = [{"distance": value, "seed": seed} for seed, value in enumerate(distances)]
        (only,) = claims.path_verdicts(Config(), rows, {}, {}, CHANCE)
        return only

    assert verdict(1e-7, math.nan).verdict == "disagrees"
    assert verdict(1e-7, 0.9e-4).verdict == "agrees"
    assert verdict(1.1e-4, 1e-7, 0.0).verdict == "disagrees"
    assert verdict(0.0, 0.0, 0.0).seeds == 3


def test_each_arm_has_its_law_and_trained_nets_are_judged_where_they_learned():
    curve = after([0.95, 0.97])
    curves = {arm: Curves(curve, curve, curve) for arm in claims.LAWS}
    rows = [{"distance": 0.0, "seed": 0}]

    def judged(loss):
        best = {"residual_norm": {7: [{"train_loss": 9.0}], 54: [{"train_loss": loss}]}}
        return claims.path_verdicts(Config(), rows, curves, best, CHANCE)

    verdicts = judged(0.7)
    assert [v.claim for v in verdicts[1:4]] == [*claims.LAWS.values()]
    assert verdicts[4].verdict == "agrees"
    poor = judged(0.8)
    assert poor[4].verdict == "not shown"
    assert "hardly trained: residual, batch norm (0.80 of 1.10 nats)" in poor[4].measured


def test_lengths_are_tabulated_by_net_and_stage():
    before = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    trained = ByLength(before, np.array([0.0, 1.0, 0.0]), before[::-1] * 0 + np.eye(3)[2])
    plain = ByLength(before, np.array([0.0, 1.0, 0.0]))
    table = claims.length_table(
        {
            "residual": Curves(trained, trained, plain._replace(after=before)),
            "x": Curves(*[plain] * 3),
        }
    )
    assert table.rows == (
        ("residual", "theory", "1.00", "1.00"),
        ("residual", "before", "1.00 (0.00 to 2.00)", "1.00 (0.00 to 2.00)"),
        ("residual", "after", "2.00 (2.00 to 2.00)", "1.00 (0.00 to 2.00)"),
        ("x", "theory", "1.00", "1.00"),
        ("x", "before", "1.00 (0.00 to 2.00)", "1.00 (0.00 to 2.00)"),
    )
