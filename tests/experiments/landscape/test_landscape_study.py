"""The landscape study measures every seed's net at its arm's best rate."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import nnx

from experiments.landscape import study
from experiments.landscape.claims import SHAPES
from experiments.landscape.config import PRESETS
from jaxseg.studies import Results

CONFIG = PRESETS["tiny"]


@pytest.fixture
def trained():
    rows = [{"seed": seed, "learning_rate": 0.1, "train_loss": 0.2} for seed in (0, 1)]
    return SimpleNamespace(
        apply=None,
        names={"arm": "plain", "depth": 4},
        title="plain, 4",
        best_rows=lambda: rows,
        at_best=lambda: ({"w": np.array([[10.0], [20.0]])}, {}),
    )


def test_each_seed_has_its_surface_and_its_row(tmp_path, monkeypatch, trained):
    arrays, keys = {}, []

    class FakeProbe:
        def __init__(self, config, apply, stats, batch):
            assert batch == ("normalized", 2)

        def __call__(self, params, key):
            keys.append(jax.random.key_data(key).tolist())
            numbers = ("filter_curvature", "largest_eigenvalue", "smallest_eigenvalue")
            surface = np.full((5, 5), float(params["w"][0]))
            return surface, {**dict.fromkeys(numbers, 1.0), "norm_difference": 0.0}

    sweep = SimpleNamespace(
        train_source=None,
        dataset=SimpleNamespace(
            info=SimpleNamespace(normalize_batch=lambda batch: ("normalized", batch))
        ),
        write_array=lambda kind, array, **names: arrays.update({(kind, *names.values()): array}),
    )
    monkeypatch.setattr(study, "SurfaceProbe", FakeProbe)
    monkeypatch.setattr(
        study.data, "batches", lambda source, *, batch_size, seed: iter([batch_size])
    )
    shapes = Results(tmp_path / "shapes.csv", SHAPES, resume=False)
    for _ in range(2):  # what is there is replaced
        study.measure_surfaces(CONFIG, sweep, trained, shapes, chance=15.0)
    assert [(r["seed"], r["learning_rate"], r["center"], r["basin"]) for r in shapes.rows] == [
        (0, 0.1, 10, 1),
        (1, 0.1, 20, 0),
    ]
    assert {*shapes.rows[0]} == {*SHAPES}
    assert [*arrays] == [("surface", "plain", 4, 0), ("surface", "plain", 4, 1)]
    assert keys == [jax.random.key_data(jax.random.key(seed)).tolist() for seed in (0, 1)] * 2


@pytest.mark.parametrize("depth", [4, 8])
def test_depths_count_convolutions(depth):
    """A stem, blocks of two, and a head."""

    def kernel():
        net = study.make_net(CONFIG, "residual", depth, classes=3, inputs=1, rngs=nnx.Rngs(0))
        return net.stack.blocks.branch.conv1.kernel[...]

    blocks, *_, features = jax.eval_shape(kernel).shape
    assert (2 + 2 * blocks, features) == (depth, CONFIG.features)
