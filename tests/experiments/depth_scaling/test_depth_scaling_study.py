"""The depth study writes gradients and responses as rows, and reads them back."""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments.depth_scaling import study
from experiments.depth_scaling.config import PRESETS
from jaxseg.analysis import StackNorms
from jaxseg.studies import at_best_rate_by

CONFIG = PRESETS["tiny"]
NAMES = {"arm": "residual", "depth": 8}


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
    best = at_best_rate_by(results, "depth")
    table = study.response_table(responses, best, "response")["plain"]
    assert [*table] == [8]  # no net of depth 4 has results
    np.testing.assert_allclose(table[8], [[1.1, 2.1], [2.1, 3.1]])
    share = study.response_table(responses, best, "share")["plain"][8]
    np.testing.assert_array_equal(share, np.full((2, 2), 8))
    assert study.response_table([], best, "share") == {}


def test_gradients_have_a_row_a_seed_and_block():
    norms = StackNorms(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]]))
    trained = SimpleNamespace(
        apply=None, start="start", names=NAMES, measure=lambda fn, nets, batch: norms
    )
    sweep = SimpleNamespace(training_batch=dict)
    rows = study.measure_gradients(CONFIG, sweep, trained)
    assert [{*row} == {*study.GRADIENTS} for row in rows] == [True] * 4
    assert [
        (r["seed"], r["layer"], r["input_gradient_norm"], r["weight_gradient_norm"]) for r in rows
    ] == [(0, 1, 1, 5), (0, 2, 2, 6), (1, 1, 3, 7), (1, 2, 4, 8)]


def test_responses_have_a_row_a_seed_and_block():
    measured = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.1, 0.2], [0.3, 0.4]])
    trained = SimpleNamespace(
        apply=None,
        names=NAMES,
        at_best=lambda: "nets",
        best_rows=lambda: [{"seed": s, "learning_rate": 0.1} for s in (0, 3)],
        measure=lambda fn, nets, images: measured,
    )
    rows = study.measure_responses(SimpleNamespace(training_batch=lambda: {"image": None}), trained)
    assert [{*row} == {*study.RESPONSES} for row in rows] == [True] * 4
    assert [(r["seed"], r["layer"], r["response"], r["share"]) for r in rows] == [
        (0, 1, 1, 0.1),
        (0, 2, 2, 0.2),
        (3, 1, 3, 0.3),
        (3, 2, 4, 0.4),
    ]


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ([0.5, 0.4, 0.3], 1),  # the last of the fresh ones
        ([0.5, 0.2, 0.3], 0),
        ([0.1, 0.2, 0.3], None),  # an earlier run was better
        ([0.2, 0.3, 0.2], 1),
    ],
)
def test_predictions_are_those_of_the_best_run(losses, kept):
    """The first of three runs was trained before; what it predicted is there already."""
    arrays = {}
    predictions = np.arange(2).repeat(9 * 4).reshape(2, 9, 2, 2)
    trained = SimpleNamespace(
        rows=[{"train_loss": loss} for loss in losses],
        fresh=[None, None],
        predictions=predictions,
        names=NAMES,
    )
    sweep = SimpleNamespace(
        write_array=lambda kind, array, **names: arrays.update({(kind, *names.values()): array})
    )
    study.keep_predictions(sweep, trained)
    if kept is None:
        assert not arrays
    else:
        array = arrays["predictions", "residual", 8]
        assert (array.shape, array.dtype) == ((study.SHOWN, 2, 2), np.uint8)
        assert {*array.ravel().tolist()} == {kept}


def test_a_net_has_as_many_convolutions_as_its_depth(monkeypatch):
    made = []
    monkeypatch.setattr(study, "DeepNet", lambda **options: made.append(options))
    for depth in (4, 64):
        study.make_net(CONFIG, "residual_norm", depth, classes=3)
    assert [2 + 2 * options["blocks"] for options in made] == [4, 64]
    assert made[0] == {
        "features": 4,
        "blocks": 1,
        "dilation": 1,
        "checkpoint_every": 0,
        "residual": True,
        "norm": "batch",
        "branch_scale": 1.0,
        "classes": 3,
    }
