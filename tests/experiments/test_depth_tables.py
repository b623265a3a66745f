"""Tables of the depth study from rows by hand."""

import json
import math

import numpy as np
import pytest
from depth_config import ARMS
from depth_tables import (
    best_rate_rows,
    curve_table,
    gradient_table,
    loss_table,
    response_table,
    summarise,
    theory,
    trainable_depth,
)
from depth_verdicts import verdicts

INF = float("inf")


def row(arm, depth, seed, rate, loss):
    return {
        "arm": arm,
        "depth": depth,
        "seed": seed,
        "learning_rate": rate,
        "train_loss": loss,
        "pixel_accuracy": 0.5,
        "mean_iou": 0.25,
        "parameters": 1234,
        "compile_seconds": 1.0,
        "step_milliseconds": 2.0,
    }


RESULTS = [
    # By the median 0.01 is better, by the best seed and by the mean 0.1 would be.
    *(row("plain", 8, s, 0.01, loss) for s, loss in enumerate([0.50, 0.52, 0.54])),
    *(row("plain", 8, s, 0.1, loss) for s, loss in enumerate([0.01, 0.53, 0.53])),
    *(row("plain", 4, s, 0.1, loss) for s, loss in enumerate([0.2, INF, 0.3])),
    *(row("residual", 16, s, 0.1, INF) for s in range(3)),
]


def test_best_rate_is_that_of_the_lowest_median():
    best = best_rate_rows(RESULTS)
    assert {r["learning_rate"] for r in best["plain"][8]} == {0.01}
    assert list(best["plain"]) == [4, 8]
    losses = loss_table(RESULTS)
    np.testing.assert_array_equal(losses["plain"][8], [0.50, 0.52, 0.54])
    np.testing.assert_array_equal(losses["residual"][16], [INF] * 3)


def test_trainable_depth_is_the_deepest_median_below_half_of_chance():
    chance = math.log(3)
    losses = {
        4: np.array([0.1, INF, 0.2]),
        8: np.array([0.5, 0.5, 0.6]),
        16: np.array([chance] * 3),
    }
    assert trainable_depth(losses, chance) == 8
    assert trainable_depth({4: np.array([chance / 2])}, chance) is None


def test_summary():
    text = summarise(RESULTS, math.log(3), "about")
    assert "| arm | trainable depth | 4 convs | 8 convs | 16 convs |" in text
    assert "| plain | 8 | 0.300 (0.200 to inf) | 0.520 (0.500 to 0.540) |  |" in text
    assert "| residual | none |  |  | inf (inf to inf) |" in text
    assert "| plain | 8 | 0.01 | 0.500 | 0.250 | 1,234 | 3 | 1.0 | 2.0 |" in text


def claims(losses, responses=None, chance=1.1):
    """Verdicts by their claim's first words, of losses by arm and depth."""
    results = [
        {"arm": arm, "depth": depth, "seed": seed, "learning_rate": 0.1, "train_loss": loss}
        for arm, table in losses.items()
        for depth, runs in table.items()
        for seed, loss in enumerate(runs)
    ]
    found = verdicts(results, responses or {}, chance)
    return {v.claim.split(",")[0].rpartition(" (")[0] or v.claim: v.verdict for v in found}


def test_verdicts_follow_the_seeds():
    falls = {"plain": {8: [0.4, 0.5], 64: [1.0, 1.1]}, "residual": {8: [0.4, 0.5], 64: [0.4, 0.6]}}
    found = claims(falls, {"residual": {8: np.full((2, 2), 0.4), 64: np.full((2, 3), 0.1)}})
    assert [*found.values()] == ["agrees"] * 4
    overlap = {
        "plain": {8: [0.4, 0.7], 64: [0.6, 1.1]},
        "residual": {8: [0.3, 0.4], 64: [0.5, 0.7]},
    }
    quiet = {"residual": {8: np.array([[1.0], [3.0]]), 64: np.array([[2.0], [2.0]])}}
    # Rises, stays, below, quiet: only that residual nets stay is contradicted.
    words = ["not shown", "disagrees", "not shown", "not shown"]
    assert [*claims(overlap, quiet).values()] == words
    worse = {"plain": {8: [0.8] * 2, 64: [0.4] * 2}, "residual": {8: [0.3] * 2, 64: [0.5] * 2}}
    assert [*claims(worse).values()] == ["disagrees", "disagrees", "disagrees"]


@pytest.mark.parametrize(
    ("plain", "isometric", "word"),
    [
        (1.0, 0.2, "agrees"),
        (0.2, 0.2, "not shown"),
        (0.2, 1.0, "disagrees"),
        (1.0, 1.0, "not shown"),  # it may be either between 8 and 64
    ],
)
def test_isometry_is_judged_by_trainable_depth(plain, isometric, word):
    arms = {"plain": {8: [0.2], 64: [plain]}, "plain_isometric": {8: [0.2], 64: [isometric]}}
    found = claims(arms)
    assert found[next(c for c in found if "isometry" in c)] == word


@pytest.mark.parametrize(
    "losses",
    [
        {"residual": {8: [INF, INF], 64: [INF, INF]}},  # all runs diverged
        {"residual": {8: [1.1, 1.2], 64: [1.1, 1.1]}},  # nothing was learned
        {"residual": {8: [0.3, 0.5], 64: [0.4, INF]}},  # a run was lost
        {"plain": {8: [0.3], 64: [0.9]}, "residual": {8: [0.3], 64: [0.3]}},  # one seed
        {"plain_norm": {8: [0.3, np.nan], 64: [0.9, 0.9]}},
    ],
)
def test_what_cannot_tell_shows_nothing(losses):
    assert {*claims(losses).values()} == {"not shown"}


def test_one_depth_says_nothing_of_depth():
    assert claims({"plain": {8: [0.2]}, "residual": {8: [0.1]}}) == {}


def test_responses_are_those_of_the_best_rate():
    results = [
        {"arm": "plain", "depth": 8, "seed": s, "learning_rate": r, "train_loss": r}
        for s in (0, 1)
        for r in (0.1, 0.2)
    ]
    responses = [
        {
            "arm": "plain",
            "depth": d,
            "seed": s,
            "learning_rate": r,
            "layer": n,
            "response": n + s + r,
            "share": d,
        }
        for d in (4, 8)
        for s in (0, 1)
        for r in (0.1, 0.2)
        for n in (2, 1)
    ]
    found = response_table(responses, results, "response")["plain"]
    assert [*found] == [8]  # no net of depth 4 has results
    np.testing.assert_allclose(found[8], [[1.1, 2.1], [2.1, 3.1]])
    share = response_table(responses, results, "share")["plain"][8]
    np.testing.assert_array_equal(share, np.full((2, 2), 8))


def test_gradient_table_has_a_row_a_seed():
    gradients = [
        {"arm": "plain", "depth": d, "seed": s, "layer": n + 1, "input_gradient_norm": 10.0 * s + n}
        for d in (6, 8)
        for s in range(2)
        for n in range(d // 2 - 1)
    ]
    np.testing.assert_array_equal(gradient_table(gradients, 6)["plain"], [[0, 1], [10, 11]])


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_has_a_theory(arm):
    found = theory(10, (6, 8), 1, ARMS[arm])
    assert found.shape == (4,)
    assert found[-1] == 0
    growing = arm in ("plain_norm", "residual", "residual_norm")
    assert (found[0] > 0) == growing


@pytest.mark.parametrize(
    "fields",
    [
        {"residual": True, "norm": "group"},
        {"residual": True, "norm": "batch"},  # scaled by 1/sqrt(L): its variances are others
        {"residual": True, "activation": "tanh", "kernel_init": "delta_orthogonal"},
        {"residual": False, "activation": "tanh"},
        {
            "residual": False,
            "activation": "tanh",
            "kernel_init": "delta_orthogonal",
            "norm": "batch",
        },
        {"residual": False, "kernel_init": "delta_orthogonal"},
        {"residual": False, "weight_variance": 1.0},
        {"residual": True, "zero_last": True},
    ],
)
def test_arms_without_a_closed_form_have_no_theory(fields):
    assert theory(10, (6, 8), 1, fields) is None


def test_the_scale_of_a_branch_that_is_left_out_is_that_of_the_net():
    left_out, given = ({"residual": True, "branch_scale": s} for s in (None, 0.5))
    np.testing.assert_array_equal(theory(10, (6, 8), 1, left_out), theory(10, (6, 8), 1, given))


def test_curves_are_those_of_the_deepest_net_at_its_best_rate(tmp_path):
    path = tmp_path / "metrics.jsonl"
    runs = [{k: r[k] for k in ("arm", "depth", "seed", "learning_rate")} for r in RESULTS]
    lines = [json.dumps({**run, "every": 5, "train_loss": [1.0, None]}) for run in runs]
    path.write_text("\n".join(lines) + "\n")
    curves = curve_table(path, RESULTS)
    assert {name: len(c) for name, c in curves.items()} == {"plain, 8": 3, "residual, 16": 3}
    steps, losses = curves["plain, 8"][0]
    np.testing.assert_array_equal(steps, [0, 5])
    np.testing.assert_array_equal(losses, [1, np.nan])


def test_a_history_written_twice_counts_once_and_a_torn_line_not_at_all(tmp_path):
    path = tmp_path / "metrics.jsonl"
    run = {k: RESULTS[0][k] for k in ("arm", "depth", "seed", "learning_rate")}
    lines = [json.dumps({**run, "every": 1, "train_loss": [loss]}) for loss in (1.0, 2.0)]
    path.write_text("\n".join([*lines, lines[0][:30]]) + "\n")
    curves = curve_table(path, RESULTS)
    assert [losses.tolist() for _, losses in curves["plain, 8"]] == [[2.0]]
