"""The long_skips study keeps the update of every layer over every epoch."""

from types import SimpleNamespace

import numpy as np

from experiments.long_skips import study
from experiments.long_skips.config import PRESETS

CONFIG = PRESETS["tiny"]  # two epochs of two steps


def test_a_change_is_relative_to_what_was_changed():
    before = np.array([[3.0, 4.0], [0.0, 2.0]]).reshape(2, 1, 2)
    after = before + np.array([[0.3, 0.4], [1.0, 0.0]]).reshape(2, 1, 2)
    np.testing.assert_allclose(study.relative_change(before, after), [0.1, 0.5])


def watched(monkeypatch, states, fresh=2):
    """Train on these states of a net with two layers: (members,) sizes at every epoch."""
    kept, calls = {}, []

    def kernels(params, members):
        assert members == 3  # padded to the devices
        yield params["stem"]["kernel"]
        yield 2 * params["stem"]["kernel"]

    def train(make, *, watch, watch_every, arm):
        calls.append((arm, watch_every))
        for epoch, sizes in enumerate(states):
            params = {"stem": {"kernel": np.array(sizes).reshape(3, 1, 1)}}
            watch(epoch * watch_every, params, None)
        return SimpleNamespace(
            fresh=[None] * fresh,
            record=lambda name, values: kept.update({name: values}),
            save=lambda: kept.update(saved=True),
        )

    monkeypatch.setattr(study, "kernels", kernels)
    study.train(CONFIG, SimpleNamespace(train=train), "both")
    assert calls == [("both", 2)]
    return kept


def test_updates_are_those_from_epoch_to_epoch(monkeypatch):
    kept = watched(monkeypatch, [[1.0, 2.0, 2.0], [1.1, 1.0, 1.0], [2.2, 1.5, 1.5]])
    assert kept["saved"]
    assert kept["updates"].dtype == np.float32
    expected = [[[0.1, 0.1], [1.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]]
    np.testing.assert_allclose(kept["updates"], expected, rtol=1e-5)


def test_epochs_after_a_divergence_are_unknown(monkeypatch):
    kept = watched(monkeypatch, [[1.0, 2.0, 2.0], [1.1, 1.0, 1.0]], fresh=1)
    assert kept["updates"].shape == (1, 2, 2)
    np.testing.assert_allclose(kept["updates"][0, 0], [0.1, 0.1], rtol=1e-5)
    assert np.isnan(kept["updates"][0, 1]).all()


def test_an_arm_that_is_finished_is_left_alone():
    study.train(CONFIG, SimpleNamespace(train=lambda *args, **kwargs: None), "both")
