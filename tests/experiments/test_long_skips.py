"""The study of long and short skips: nets of equal parameters, what it leaves, how it judges."""

import csv
from dataclasses import replace

import jax
import jax.numpy as jnp
import long_skips
import long_skips_tables as tables
import numpy as np
import pytest
from flax import nnx
from long_skips_config import ARMS, PRESETS, Config, DeepUNet, convolutions, kernels, parts


def make(arm="both", levels=3, blocks=2, rngs=None):
    return DeepUNet(
        classes=2,
        inputs=1,
        features=4,
        levels=levels,
        blocks=blocks,
        rngs=rngs or nnx.Rngs(0),
        **ARMS[arm],
    )


def test_arms_have_equal_parameters_and_every_layer_once():
    shapes = {}
    for arm in ARMS:
        params = nnx.state(nnx.eval_shape(lambda arm=arm: make(arm)), nnx.Param)
        alone = jax.tree.map(lambda a: np.zeros((3, *a.shape), np.float32), params)
        found = [*kernels(alone, 2)]
        assert len(found) == convolutions(3, 2) == len(parts(3, 2)) == 26
        shapes[arm] = [kernel.shape for kernel in found]
        every = sum(a.size for a in jax.tree.leaves(alone) if a.ndim > 4)
        assert sum(kernel.size for kernel in found) * 3 == every * 2
    assert all(other == shapes["both"] for other in shapes.values())


def test_layers_come_in_their_order_and_parts():
    state = nnx.state(make(levels=2, blocks=1), nnx.Param)
    alone = jax.tree.map(lambda a: a[None], state)
    windows = [kernel.shape[1] for kernel in kernels(alone, 1)]
    assert windows == [3, 3, 3, 2, 3, 3, 2, 3, 3, 1]
    assert parts(2, 1) == ["ends"] * 3 + ["between"] + ["bottom"] * 2 + ["between"] + ["ends"] * 3


def test_only_a_long_skip_leads_around_the_bottom():
    """Where nothing comes up, the image reaches the logits by long skips alone."""
    x, moved = jax.random.normal(jax.random.key(0), (2, 4, 4, 1)), []
    for arm in ("no skips", "long skips"):
        net = make(arm, levels=2, blocks=1)
        net.double[0].kernel[...] = jnp.zeros_like(net.double[0].kernel[...])
        moved.append(float(jnp.abs(net(x) - net(2 * x)).max()))
    assert moved[0] == 0 < moved[1]


@pytest.mark.slow
def test_from_the_command_line_to_verdicts(tmp_path, monkeypatch):
    out = tmp_path / "out"
    config = replace(
        PRESETS["tiny"], out=out, data_dir=tmp_path / "data", arms=("long skips", "both")
    )
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        long_skips.main(config)
    assert {path.name for path in out.iterdir()} == {
        "config.json",
        "results.csv",
        "verdicts.csv",
        "summary.md",
        "updates",
        "losses",
        "long_skips.png",
        "updates.png",
    }
    updates = np.load(out / "updates" / "both.npy")
    assert updates.shape == (2, 2, convolutions(2, 1))
    assert (updates > 0).all()
    assert np.load(out / "losses" / "long_skips.npy").shape == (2, 4)
    with (out / "verdicts.csv").open(newline="") as file:
        verdicts = list(csv.DictReader(file))
    # Claims about arms that were not run are left out.
    assert len(verdicts) == 4
    assert all("no skips" not in v["theory"] for v in verdicts)

    monkeypatch.setattr(long_skips, "train_members", None)
    before = (out / "results.csv").read_bytes()
    long_skips.main(replace(config, resume=True))
    assert before == (out / "results.csv").read_bytes()


def test_unevenness_and_the_bottom_are_ratios():
    layers = len(parts(2, 1))
    updates = np.ones((3, 2, layers))
    updates[:, :, np.array(parts(2, 1)) == "bottom"] = 0.1
    np.testing.assert_allclose(tables.bottom_over_ends(updates, 2, 1), 0.1)
    share = 2 / (layers - 2)
    np.testing.assert_allclose(tables.unevenness(updates), np.sqrt(share * (1 - share)))
    np.testing.assert_allclose(
        tables.unevenness_of_means(updates),
        tables.unevenness(updates),  # epochs that are alike
    )
    # Stem and head have no say.
    updates[:, :, [0, -1]] = 50
    np.testing.assert_allclose(tables.unevenness(updates), np.sqrt(share * (1 - share)))


def test_a_large_epoch_hides_the_others_in_means_alone():
    layers = len(parts(2, 1))
    updates = np.ones((3, 2, layers))
    updates[:, 1, 1 : layers // 2] = 1e-3
    updates[:, 0] = 100
    assert (tables.unevenness(updates) > 0.7).all()
    assert (tables.unevenness_of_means(updates) < 0.01).all()


def test_verdicts_follow_the_numbers():
    losses = {"no skips": 1.0, "long skips": 0.5, "short skips": 0.2, "both": 0.3}
    results = [
        {"arm": arm, "seed": seed, "learning_rate": 0.1, "train_loss": loss + 0.01 * seed}
        for arm, loss in losses.items()
        for seed in range(3)
    ]
    updates = {arm: np.ones((3, 2, len(parts(2, 1)))) for arm in ARMS}
    found = [v.verdict for v in tables.verdicts(results, updates, np.log(3), 2, 1)]
    assert found == ["agrees", "disagrees", *["agrees"] * 3, *["not shown"] * 3]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arms": ("concat",)}, "must be some of"),
        ({"size": 18}, r"a multiple of 2\*\*\(levels - 1\)"),
        ({"images": 12}, "epochs are whole"),
        ({"learning_rates": (0.1, -1.0)}, "positive"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Config(**fields)
