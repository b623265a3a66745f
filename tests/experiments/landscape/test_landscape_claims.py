"""Verdicts of the landscape study from rows by hand, at their boundaries."""

import numpy as np
import pytest

from experiments.landscape import claims

CHANCE = 1.1


def tables(numbers, losses=None):
    """Tables of both arms at one depth, 8, where all else is 1 and all nets have learned."""
    arms = {"plain": {8: np.ones(2)}, "residual": {8: np.ones(2)}}
    ones = dict.fromkeys(claims.NUMBERS, arms)
    learned = {arm: {8: np.full(2, 0.4)} for arm in arms}
    given = {
        name: {arm: {8: np.array(values, float)} for arm, values in by_arm.items()}
        for name, by_arm in numbers.items()
    }
    return {**ones, "train_loss": losses or learned, **given}


@pytest.mark.parametrize("number", range(len(claims.COMPARED)))
@pytest.mark.parametrize(
    ("larger", "smaller", "word"),
    [
        ((3, 4), (1, 2), "agrees"),
        ((1, 2), (3, 4), "disagrees"),
        ((1, 3), (2, 4), "not shown"),
        ((3,), (1,), "not shown"),
        ((3, np.nan), (1, 2), "not shown"),
    ],
)
def test_seeds_that_overlap_show_nothing(number, larger, smaller, word):
    name, claim, arm = claims.COMPARED[number]
    other = "residual" if arm == "plain" else "plain"
    values = tables({name: {arm: larger, other: smaller}})
    verdict = claims._compared(values, 8, name, claim, arm, CHANCE)
    assert verdict.verdict == word
    assert verdict.exploratory == (name == "border")
    assert verdict.theory.startswith(f"{arm} higher")
    # Around a net that has learned nothing there is no minimum to look at.
    losses = {"plain": {8: np.full(2, 1.09)}, "residual": {8: np.full(2, 0.4)}}
    values = tables({name: {arm: larger, other: smaller}}, losses)
    verdict = claims._compared(values, 8, name, claim, arm, CHANCE)
    assert verdict.verdict == "not shown"
    assert "hardly trained: plain 8 (" in verdict.measured


@pytest.mark.parametrize(("poor", "word"), [(0.73, "agrees"), (0.74, "not shown")])
@pytest.mark.parametrize("arm", ["plain", "residual"])
def test_both_nets_must_know_a_third(arm, poor, word):
    losses = {"plain": {8: np.full(2, 0.4)}, "residual": {8: np.full(2, 0.4)}}
    losses[arm] = {8: np.full(2, poor)}
    values = tables({"border": {"plain": (3, 4), "residual": (1, 2)}}, losses)
    verdict = claims._compared(values, 8, "border", "it is", "plain", CHANCE)
    assert verdict.verdict == word


def over_depth(arm, shallow, deep, losses=(0.4, 0.4)):
    values = {
        "filter_curvature": {arm: {32: np.array(deep), 16: np.full(2, 99.0), 8: np.array(shallow)}},
        "train_loss": {arm: {8: np.full(2, losses[0]), 16: np.ones(2), 32: np.full(2, losses[1])}},
    }
    return claims._over_depth(values, arm, CHANCE)


@pytest.mark.parametrize(
    ("arm", "shallow", "deep", "word"),
    [
        ("plain", [1.0, 2.0], [3.0, 4.0], "agrees"),
        ("plain", [3.0, 4.0], [1.0, 2.0], "disagrees"),
        ("plain", [1.0, 3.0], [2.0, 4.0], "not shown"),
        ("residual", [1.0, 3.0], [2.9, 3.1], "agrees"),  # the medians are 2 and 3
        ("residual", [1.0, 3.0], [3.01, 3.1], "disagrees"),
        ("residual", [1.0, 3.0], [2.0, 9.0], "not shown"),
        ("residual", [3.0, 4.0], [1.0, 2.0], "agrees"),
        ("residual", [1.0], [1.0], "not shown"),
        ("residual", [1.0, np.nan], [1.0, 1.0], "not shown"),
    ],
)
def test_depth_is_judged_between_the_ends(arm, shallow, deep, word):
    assert over_depth(arm, shallow, deep).verdict == word


@pytest.mark.parametrize("losses", [(0.4, 0.8), (0.8, 0.4)])
def test_nets_at_either_end_must_have_learned(losses):
    verdict = over_depth("plain", [1.0, 2.0], [3.0, 4.0], losses)
    assert verdict.verdict == "not shown"
    assert f"plain {32 if losses[1] > 0.5 else 8} (0.80" in verdict.measured


def test_what_is_asked_depends_on_what_was_run():
    values = tables({})
    assert len(claims.verdicts(values, CHANCE)) == 1 + len(claims.COMPARED)
    plain = {name: {"plain": table["plain"]} for name, table in values.items()}
    assert len(claims.verdicts(plain, CHANCE)) == 1
    # Both arms are compared at the greatest depth that both have, each over all of its own.
    deeper = {
        name: {"plain": {**table["plain"], 16: np.ones(2)}, "residual": table["residual"]}
        for name, table in values.items()
    }
    texts = [v.claim for v in claims.verdicts(deeper, CHANCE)]
    assert all(text.startswith("At 8 convolutions") for text in texts[1:6])
    assert texts[6:] == ["Depth sharpens plain nets"]


@pytest.mark.parametrize(
    ("difference", "word"), [(9e-6, "agrees"), (1.1e-5, "disagrees"), (np.nan, "disagrees")]
)
def test_the_worst_direction_is_judged(difference, word):
    values = tables({"norm_difference": {"plain": (0, 1e-7), "residual": (difference, 0)}})
    verdict = claims.verdicts(values, CHANCE)[0]
    assert (verdict.verdict, verdict.seeds) == (word, 2)


def test_numbers_are_those_of_the_runs_at_the_best_rate():
    names = {"arm": "plain", "depth": 8}
    shapes = [
        {**names, "seed": seed, "learning_rate": rate, **dict.fromkeys(claims.NUMBERS, 10 * rate)}
        | {"basin": 10 * rate + seed}
        for seed in (1, 0)
        for rate in (0.1, 0.2)
    ]
    shapes.append({**shapes[0], "depth": 16, "basin": 99.0})
    runs = [{**names, "seed": s, "learning_rate": 0.2, "train_loss": 0.5 - s} for s in (0, 1)]
    values = claims.value_tables({"plain": {8: runs}}, shapes)
    assert {*values} == {"train_loss", *claims.NUMBERS}
    assert values["basin"]["plain"][8].tolist() == [2, 3]
    assert values["train_loss"]["plain"][8].tolist() == [0.5, -0.5]
    assert [*values["border"]["plain"]] == [8]


def test_all_numbers_are_tabulated_a_line_a_net():
    values = tables({"border": {"plain": (10, 30000), "residual": (0.001, 0.001)}})
    table = claims.shape_table(values)
    assert [row[:2] for row in table.rows] == [("plain", "8"), ("residual", "8")]
    assert table.columns[4] == "border"
    assert [row[4] for row in table.rows] == ["1.5e+04 (10 to 3e+04)", "0.001 (0.001 to 0.001)"]
    assert len(table.columns) == len(table.rows[0]) == 2 + len(claims.NUMBERS)
