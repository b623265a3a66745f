"""The study of paths writes its rows, and reads curves and losses from them."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.paths import study
from experiments.paths.claims import lesion_losses
from experiments.paths.config import PRESETS
from experiments.paths.probes import Gradient, lesions
from jaxseg import analysis
from jaxseg.studies import Results

CONFIG = PRESETS["tiny"]


def run(seed, arm="residual_norm", blocks=5, rate=0.1):
    return {"arm": arm, "blocks": blocks, "seed": seed, "learning_rate": rate}


def path_row(seed, stage, length, log_norm, **more):
    return {**run(seed, **more), "stage": stage, "length": length, "log_norm": log_norm}


def test_gradients_become_rows_by_seed_and_length():
    gradients = Gradient(
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[[5.0, 6.0]], [[7.0, 8.0]]]),
        np.array([0.1, 0.2]),
    )
    runs = [{**run(0), "train_loss": 0.1}, {**run(4), "train_loss": 0.1}]
    paths = study.path_rows(runs, "before", gradients)
    assert paths == [
        {**path_row(0, "before", 0, 1.0), "distance": 0.1},
        {**path_row(0, "before", 1, 2.0), "distance": 0.1},
        {**path_row(4, "before", 0, 3.0), "distance": 0.2},
        {**path_row(4, "before", 1, 4.0), "distance": 0.2},
    ]
    singles = study.single_rows(runs, "after", np.array([9]), gradients)
    assert singles == [
        path_row(seed, "after", 9, value)
        for seed, value in ((0, 5.0), (0, 6.0), (4, 7.0), (4, 8.0))
    ]


def test_curves_are_read_back_from_the_rows():
    """Whatever the order of the rows; a stage that was not measured is None."""
    logs = {0: [0.0, 1.0, 2.0, 1.0, 0.0, -1.0], 1: [2.0, 1.0, 0.0, 0.0, 0.0, 0.0]}
    paths = [
        path_row(seed, stage, length, value + (stage == "after"))
        for length in (5, 0, 3, 1, 2, 4)
        for seed in (1, 0)
        for stage, value in (("before", logs[seed][length]), ("after", -logs[seed][length]))
    ]
    singles = [
        path_row(seed, stage, length, value)
        for seed in (0, 1)
        for stage in ("before", "after")
        for length, values in ((0, (3.0, 3.0)), (4, (1.0, 1.0 + math.log(3))), (5, (seed,) * 2))
        for value in values
    ]
    other = [path_row(0, "before", 0, 99.0, arm="residual_unscaled", rate=0.0)]
    curves = study.length_curves(CONFIG, [*other, *paths], [*other, *singles], "residual_norm")
    expected = np.exp(2 * np.array([logs[0], logs[1]]))
    np.testing.assert_allclose(
        curves.exact.before, expected / expected.sum(axis=1, keepdims=True), rtol=1e-6
    )
    expected = 1 / expected
    np.testing.assert_allclose(
        curves.exact.after, expected / expected.sum(axis=1, keepdims=True), rtol=1e-6
    )
    # The mean of the norms e and 3 e is 2 e; between 0 and 4 lies a straight line.
    single = (1 + math.log(2) - 3) / math.log(10)
    np.testing.assert_allclose(curves.single.before[:, [0, 2, 4]], [[0, single / 2, single]] * 2)
    np.testing.assert_allclose(curves.single.before[:, 5] * math.log(10), [-3, -2])
    weights = np.exp(analysis.log_path_counts(5) + curves.single.before * math.log(10))
    np.testing.assert_allclose(
        curves.sampled.before, weights / weights.sum(axis=1, keepdims=True), rtol=1e-6
    )
    untrained = study.length_curves(
        CONFIG, [r for r in paths if r["stage"] == "before"], singles, "residual_norm"
    )
    assert untrained.exact.after is None
    for curve in curves:
        assert curve.theory.shape == (6,)
    np.testing.assert_allclose(curves.exact.theory.sum(), 1)
    np.testing.assert_allclose(curves.single.theory[0], 0)


def test_losses_are_sorted_by_lesion():
    made = list(lesions(3, 2))
    rows = [
        {**run(seed, blocks=3), "kind": m.kind, "number": m.number, "loss": 10 * seed + place}
        for seed in (1, 0)
        for place, m in enumerate(made)
    ]
    other = [{**rows[0], "arm": "plain", "loss": 99.0}, {**rows[0], "blocks": 5, "loss": 99.0}]
    losses = lesion_losses([*other, *rows[::-1]], "residual_norm", 3)
    assert losses.whole.tolist() == [0, 10]
    assert losses.block.tolist() == [[1, 2, 3], [11, 12, 13]]
    assert {k: sorted(v) for k, v in losses.delete.items()} == {
        1: [4, 5, 14, 15],
        2: [6, 7, 16, 17],
    }
    assert {k: sorted(v) for k, v in losses.shuffle.items()} == {2: [8, 9, 18, 19]}


def test_rows_of_other_rates_are_left_out():
    """What a kill left behind of a rate that the results do not hold, say."""
    best = {"residual_norm": {5: [run(0)], 3: [run(0, blocks=3)]}}
    rows = [run(0), run(1), run(0, rate=0.2), run(0, blocks=3), run(0, arm="residual_unscaled")]
    chosen = study.of_best_runs(rows, best)
    assert chosen == [rows[0], rows[3], rows[4]]


@pytest.fixture
def tables(tmp_path):
    return {
        name: Results(tmp_path / f"{name}.csv", columns, resume=False)
        for name, columns in study.COLUMNS.items()
    }


def sweep():
    info = SimpleNamespace(classes=3, channels=1)
    return SimpleNamespace(
        dataset=SimpleNamespace(info=info), training_batch=dict, validation_batch=lambda size: size
    )


def test_nets_at_initialization_are_measured_once_for_all_seeds(tables, monkeypatch):
    seeds = []

    def over_seeds(fn, number):
        del fn
        seeds.append(number)
        return Gradient(np.ones((number, 6)), np.ones((number, 3, 2)), np.zeros(number))

    monkeypatch.setattr(study, "over_seeds", over_seeds)
    tables["paths"].add([{**path_row(0, "before", 0, 1.0), "distance": 0.0}])
    for _ in range(2):
        study.measure_untrained(CONFIG, sweep(), tables, "residual_unscaled")
    assert seeds == [2]
    rows = tables["paths"].select(arm="residual_unscaled")
    assert [(r["seed"], r["length"]) for r in rows] == [(s, n) for s in (0, 1) for n in range(6)]
    assert {(r["stage"], r["learning_rate"]) for r in rows} == {("before", 0.0)}
    assert len(tables["singles"].rows) == 2 * 3 * 2
    tables["paths"].drop(arm="residual_unscaled", seed=1)
    study.measure_untrained(CONFIG, sweep(), tables, "residual_unscaled")
    assert seeds == [2, 2]
    assert len(tables["paths"].rows) == 1 + 12
    assert len(tables["singles"].rows) == 12


class FakeTrained:
    """Nets of two seeds, which are numbers; what is measured of them is themselves."""

    def __init__(self):
        self.names = {"arm": "residual_norm", "blocks": 5}
        self.start, self.measured = np.array([1.0, 2.0]), []

    def at_best(self):
        return np.array([3.0, 4.0])

    def best_rows(self):
        return [{**run(seed), "train_loss": 0.1} for seed in (0, 1)]

    def measure(self, fn, nets, *shared, each=()):
        self.measured.append((nets.tolist(), shared, each))
        if each:
            return Gradient(nets[:, None] + np.zeros(6), np.zeros((2, 3, 2)), np.zeros(2))
        places = np.arange(len(shared[1]))
        return nets[:, None] * 100 + places, nets[:, None] + 0 * places


def test_paths_are_measured_before_and_after_training(tables):
    trained = FakeTrained()
    tables["paths"].add([{**path_row(7, "after", 0, 1.0), "distance": 0.0}])
    for _ in range(2):  # what is there is replaced
        study.measure_paths(CONFIG, sweep(), tables, trained, _make)
    assert [(r["seed"], r["stage"], r["log_norm"]) for r in tables["paths"].rows[::6]] == [
        (0, "before", 1.0),
        (1, "before", 2.0),
        (0, "after", 3.0),
        (1, "after", 4.0),
    ]
    assert len(tables["singles"].rows) == 2 * 2 * 3 * 2


def _make(rngs):
    return study.make_net(CONFIG, "residual_norm", 5, classes=3, inputs=1, rngs=rngs)


def test_lesions_are_measured_after_training(tables):
    trained = FakeTrained()
    for _ in range(2):
        study.measure_lesions(CONFIG, sweep(), tables, trained, _make)
    made = list(lesions(5, 2))
    rows = tables["lesions"].rows
    assert len(rows) == 2 * len(made)
    assert [(r["kind"], r["number"]) for r in rows[: len(made)]] == [m[:2] for m in made]
    assert [r["loss"] for r in rows[:2]] == [300, 301]
    assert (rows[-1]["seed"], rows[-1]["accuracy"]) == (1, 4.0)
    _, (images, orders, kept), _ = trained.measured[0]
    assert (images, orders.shape, kept.shape) == (2, (len(made), 5), (len(made), 5))
