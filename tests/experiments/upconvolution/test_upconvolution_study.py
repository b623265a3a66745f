"""The upconvolution study measures nets inside their border, and keeps a row a run and step."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.upconvolution import probes, study
from experiments.upconvolution.config import PRESETS
from jaxseg.studies import Results
from jaxseg.training.sweep import Member


def linear(params, stats, images, train=False):
    """A net whose two classes have scores of opposite signs, beside what both share."""
    scores = params * images
    return jnp.concatenate([scores, -scores], axis=-1) + 100, stats


@pytest.fixture
def batch():
    images = np.array(jax.random.normal(jax.random.key(0), (2, 16, 16, 1)))
    return {"image": jnp.asarray(images), "label": jnp.zeros((2, 16, 16), jnp.int32)}


def test_the_border_and_what_classes_share_are_left_out(batch):
    inner = study.inner_logits(linear, jnp.float32(2), (), batch["image"])
    assert inner.shape == (2, 8, 8, 2)
    np.testing.assert_allclose(inner[..., :1], 2 * batch["image"][:, 4:-4, 4:-4], atol=1e-4)


def checkered(images):
    """Add a pattern of the stride's period."""
    rows, columns = np.indices(images.shape[1:3])
    return images + 5.0 * (((rows + columns) % 2) * 2 - 1)[None, :, :, None].astype(np.float32)


def test_energies_are_those_of_logits_and_of_the_gradient(batch):
    plain = study.checkerboards(linear, jnp.float32(1), (), batch)
    pattern = {**batch, "image": checkered(batch["image"])}
    checked = study.checkerboards(linear, jnp.float32(1), (), pattern)
    assert float(plain["logits"]) < 5
    assert float(checked["logits"]) > 15
    # The gradient is sigmoid(-2 x) times a constant: it follows the image.
    assert float(checked["gradient"]) > 10 > 5 > float(plain["gradient"])
    # A pattern at the border alone is not seen.
    border = pattern["image"].at[:, 4:-4, 4:-4].set(batch["image"][:, 4:-4, 4:-4])
    alone = study.checkerboards(linear, jnp.float32(1), (), {**batch, "image": border})
    np.testing.assert_allclose(alone["logits"], plain["logits"], rtol=1e-4)
    np.testing.assert_allclose(alone["gradient"], plain["gradient"], rtol=1e-4)


def test_labels_are_measured_a_channel_a_class():
    labels = np.zeros((1, 16, 16), np.int32)
    labels[:, ::2, ::2] = 1
    fine = study.label_energy({"label": jnp.asarray(labels)}, 3)
    labels[:] = 0
    labels[:, :, 8:] = 2
    coarse = study.label_energy({"label": jnp.asarray(labels)}, 3)
    np.testing.assert_allclose(fine, 63 / 3, rtol=1e-5)  # a pattern of the period and no more
    assert coarse < 1e-6


def energy(seed, step, logits, *, arm="sub-pixel", rate=0.1):
    keys = {"arm": arm, "seed": seed, "learning_rate": rate, "step": step}
    return {**keys, "logits": logits, "gradient": -logits}


def test_curves_are_those_at_the_best_rate_in_the_order_of_seeds_and_steps():
    best = {
        "sub-pixel": [{"arm": "sub-pixel", "seed": s, "learning_rate": 0.1} for s in (0, 1)],
        "resize nearest": [{"arm": "resize nearest", "seed": 0, "learning_rate": 0.2}],
    }
    rows = [
        energy(1, 4, 14.0),
        energy(0, 4, 4.0),
        energy(1, 0, 10.0),
        energy(0, 0, 1.0),
        energy(0, 0, 99.0, rate=0.2),
        energy(0, 2, 7.0, arm="resize nearest", rate=0.2),
        energy(0, 8, 8.0),  # the other seed's ensemble diverged before
    ]
    curves = study.energy_curves(rows, best, "logits")
    assert [*curves] == ["sub-pixel", "resize nearest"]
    steps, values = curves["sub-pixel"]
    assert (steps.tolist(), values.tolist()) == ([0, 4], [[1, 4], [10, 14]])
    assert study.energy_curves(rows, best, "gradient")["resize nearest"][1].tolist() == [[-7]]


class FakeSweep:
    """Trains nets that are one number each: the seed plus the step."""

    def __init__(self, fresh, rows):
        self.fresh, self.rows, self.kept, self.saved = fresh, rows, {}, 0

    def train(self, make, *, watch, watch_every, arm):
        del make
        for step in (0, watch_every, 2 * watch_every):
            padded = [*self.fresh, self.fresh[-1]]
            watch(step, np.array([[10.0 * m.seed + step] for m in padded]), {})
        return SimpleNamespace(
            apply=linear,
            names={"arm": arm},
            fresh=self.fresh,
            rows=self.rows,
            start=(np.array([[0.0], [10.0], [20.0]]), {}),
            nets=(np.array([[r["seed"] * 10.0 + 4] for r in self.rows]), {}),
            measure=self.measure,
            save=self.save,
        )

    def measure(self, fn, nets, shared):
        del fn, shared
        return {"logits": nets[0][:, 0], "gradient": -nets[0][:, 0]}

    def write_array(self, kind, array, **names):
        self.kept[kind, names["arm"]] = array

    def save(self):
        self.saved += 1


def test_a_run_is_measured_before_during_and_after_training(tmp_path, batch):
    """What a kill left of a run without its result is written anew, and no other run."""
    config = PRESETS["tiny"]
    energies = Results(tmp_path / "energies.csv", study.ENERGIES, resume=False)
    energies.add([energy(0, 0, 0.5), energy(1, 0, 77.0), energy(1, 0, 5.0, rate=0.2)])
    rows = [
        {"seed": 0, "learning_rate": 0.1, "train_loss": 0.2},
        {"seed": 1, "learning_rate": 0.1, "train_loss": 0.3},
        {"seed": 2, "learning_rate": 0.1, "train_loss": 0.1},
    ]
    sweep = FakeSweep([Member(1, 0.1), Member(2, 0.1)], rows)
    study.train(config, sweep, "sub-pixel", batch, energies)
    assert [
        (row["seed"], row["learning_rate"], row["step"], row["logits"]) for row in energies.rows
    ] == [
        (0, 0.1, 0, 0.5),
        (1, 0.2, 0, 5.0),
        *((seed, 0.1, step, 10.0 * seed + step) for step in (0, 2, 4) for seed in (1, 2)),
    ]
    assert energies.rows[-1]["gradient"] == -24
    # The run with the lowest loss, as it began and as it ended.
    kept = sweep.kept["logits", "sub-pixel"]["logits"]
    assert kept.tolist() == [20, 24]
    assert sweep.saved == 1


def test_layers_at_initialization_are_measured_once(tmp_path, monkeypatch):
    """An arm that is added later is measured then."""
    calls = []

    def initial_rows(arms, windows, *, features, draws):
        calls.append((arms, windows, features, draws))
        numbers = {"theory": 0.0, "measured": 0.0, "error": 0.0, "draws": draws}
        cases = [(probes.SHARE, arm) for arm in arms]
        cases += [(probes.GRADIENT, f"k{window}s2") for window in windows]
        return [{"quantity": q, "case": case, **numbers} for q, case in cases]

    monkeypatch.setattr(probes, "initial_rows", initial_rows)
    table = Results(tmp_path / "initial.csv", probes.INITIAL, resume=False)
    config = PRESETS["tiny"]
    study.measure_initial(config, table)
    study.measure_initial(config, table)
    assert calls == [([*config.arms], [3], 4, 8)]
    table.drop(case="sub-pixel ICNR")
    study.measure_initial(config, table)
    assert calls[1:] == [(["sub-pixel ICNR"], [], 4, 8)]
