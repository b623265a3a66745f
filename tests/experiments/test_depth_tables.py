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
    summarise,
    theory,
    trainable_depth,
)

INF = float("inf")


def row(arm, depth, seed, rate, loss):
    return {
        "arm": arm, "depth": depth, "seed": seed, "learning_rate": rate, "train_loss": loss,
        "pixel_accuracy": 0.5, "mean_iou": 0.25, "parameters": 1234, "compile_seconds": 1.0,
        "step_milliseconds": 2.0,
    }  # fmt: skip


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


def test_gradient_table_has_a_row_a_seed():
    gradients = [
        {"arm": "plain", "depth": d, "seed": s, "layer": n + 1, "input_gradient_norm": 10.0 * s + n}
        for d in (6, 8) for s in range(2) for n in range(d // 2 - 1)
    ]  # fmt: skip
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
        {"residual": False, "activation": "tanh", "kernel_init": "delta_orthogonal",
         "norm": "batch"},
        {"residual": False, "kernel_init": "delta_orthogonal"},
        {"residual": False, "weight_variance": 1.0},
        {"residual": True, "zero_last": True},
    ],
)  # fmt: skip
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
