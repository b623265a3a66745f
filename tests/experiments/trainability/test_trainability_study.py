"""Runs that are missing are trained, each as if it were alone."""

import functools
import math
from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments.trainability import nets, study
from experiments.trainability.config import PRESETS, phase_runs, transfer_runs
from jaxseg.studies import Results
from jaxseg.training import over_members

TINY = replace(PRESETS["tiny"], weight_variances=(0.5, 3.0), steps=6, width=8)


@pytest.fixture(scope="module", autouse=True)
def compile_in_haste():
    with pytest.MonkeyPatch.context() as patch:
        quick = functools.partial(over_members, few_calls=True)
        patch.setattr(study, "over_members", lambda *a, few_calls=False, **k: quick(*a, **k))
        yield


def toy():
    """Examples and labels."""
    x = np.random.default_rng(0).standard_normal((32, 25)).astype(np.float32)
    return x, (x[:, 12] > 0).astype(np.int32)


def train(path, config, *, resume=True, load=toy, depth=3):
    results = Results(path, study.COLUMNS, resume=resume)
    shape = nets.Shape(depth, 1, config.width, 25, study.CLASSES)
    descent = nets.Descent(jax.numpy.tanh, config.steps, 8, momentum=0.9, clip=1.0)
    return study.train_missing(results, shape, phase_runs(config, depth), descent, load)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("trainability") / "results.csv"
    return path, train(path, TINY)


def test_runs_differ_by_their_numbers(trained):
    _, rows = trained
    assert len(rows) == 2 * 2 * 2 * 2
    assert all(0 < row["train_loss"] < math.inf for row in rows)
    assert len({row["train_loss"] for row in rows}) == len(rows)
    # The rate changes nothing before the first step.
    assert len({row["moved"] for row in rows}) == len(rows) // len(TINY.learning_rates)


def test_a_scale_of_zero_is_the_identity(tmp_path):
    results = Results(tmp_path / "results.csv", study.COLUMNS, resume=False)
    shape = nets.Shape(2, 1, 8, 25, study.CLASSES)
    descent = nets.Descent(jax.nn.relu, 6, 8, momentum=0.0, clip=math.inf)
    runs = transfer_runs(TINY, 2, 1)
    rows = study.train_missing(results, shape, runs, descent, toy)
    assert {row["moved"] for row in rows if row["arm"] == "zero"} == {0.0}
    assert min(row["moved"] for row in rows if row["arm"] != "zero") > 0.01


def test_what_is_there_is_not_trained_again(trained):
    path, rows = trained
    before = path.read_bytes()
    assert train(path, TINY, load=None) == rows
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [{"seeds": 3}, {"learning_rates": (2**-5, 2**-3, 2**-2), "weight_variances": (0.5, 1.0, 3.0)}],
)
def test_runs_that_are_added_are_as_they_would_be_from_the_start(trained, tmp_path, options):
    path, rows = trained
    (tmp_path / "more.csv").write_bytes(path.read_bytes())
    config = replace(TINY, **options)
    more = train(tmp_path / "more.csv", config)
    assert more == train(tmp_path / "fresh.csv", config, resume=False)
    assert [row for row in more if row in rows] == rows


def test_a_run_that_was_lost_is_trained_again(trained, tmp_path, monkeypatch):
    path, rows = trained
    lines = path.read_text().splitlines(keepends=True)
    lost = tmp_path / "results.csv"
    lost.write_text("".join(lines[:4] + lines[5:]))
    asked = []
    stack = nets.stack_members
    monkeypatch.setattr(nets, "stack_members", lambda m: asked.append(len({*m})) or stack(m))
    assert train(lost, TINY) == rows
    assert asked == [1]


def test_only_the_runs_that_are_named_come_back(trained):
    path, rows = trained
    config = replace(TINY, seeds=1, weight_variances=(3.0,))
    named = train(path, config, load=None)
    assert named == [row for row in rows if (row["seed"], row["weight_variance"]) == (0, 3.0)]


@pytest.mark.parametrize("window", [1, 5])
def test_a_neighborhood_has_the_label_of_its_middle(tmp_path, monkeypatch, window):
    size = max(20, window + 4)
    labels = np.arange(3 * size * size).reshape(3, size, size)
    images = labels[..., None].astype(np.float32)

    class Info:
        def normalize_batch(self, batch):
            return batch

    class Dataset:
        info = Info()

        def source(self, split):
            return split

    def batches(source, *, batch_size, seed):
        assert (source, seed) == ("train", 0)
        return iter([{"image": images, "label": labels}])

    monkeypatch.setattr(study, "easy_mosaic", lambda *args, **options: Dataset())
    monkeypatch.setattr(study.data, "batches", batches)
    x, picked = study.neighborhoods(replace(TINY, window=window), 50)
    assert (x.shape, x.dtype, picked.dtype) == ((50, window**2), np.float32, np.int32)
    assert len({*picked.tolist()}) == 50
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-5)
    middle = x[:, window**2 // 2]
    # Pixels are their own label here, but for one shift and scale.
    np.testing.assert_allclose(np.corrcoef(middle, picked)[0, 1], 1, atol=1e-6)
    slope, offset = np.polyfit(picked, middle, 1)
    np.testing.assert_allclose(slope * picked + offset, middle, atol=1e-4)
