"""The study of loss surfaces, from nets to verdicts."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import landscape
import landscape_report
import numpy as np
import pytest
import studies

from jaxseg.training import records


@pytest.mark.slow
def test_the_tiny_study_leaves_tables_figures_and_verdicts(tmp_path, capsys):
    config = replace(
        landscape.PRESETS["tiny"], out=tmp_path / "study", data_dir=tmp_path / "data", steps=2
    )
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        landscape.main(config)
    assert "# Loss surfaces" in capsys.readouterr().out
    rows = records.read_csv(config.out / "results.csv", landscape_report.RESULTS)
    assert [(r["arm"], r["seed"]) for r in rows] == [
        ("plain", 0),
        ("plain", 1),
        ("residual", 0),
        ("residual", 1),
    ]
    for row in rows:
        surface = np.load(config.out / "surfaces" / f"{row['arm']}-4-{row['seed']}.npy")
        assert surface.shape == (5, 5)
        np.testing.assert_allclose(surface[2, 2], row["centre"], rtol=1e-5)
        assert row["largest_eigenvalue"] > row["smallest_eigenvalue"]
        assert row["norms_off"] < 1e-5
    kinds = dict.fromkeys(studies.VERDICTS, str)
    verdicts = records.read_csv(config.out / "verdicts.csv", kinds)
    assert verdicts[0]["verdict"] == "agrees"
    for name in ("landscape.png", "sharpness.png", "summary.md"):
        assert (config.out / name).stat().st_size > 0
    before = (config.out / "results.csv").stat().st_mtime_ns
    landscape.main(replace(config, resume=True))
    assert (config.out / "results.csv").stat().st_mtime_ns == before


def test_the_shape_of_a_saddle_and_of_a_bowl():
    a = np.linspace(-1, 1, 9).astype(np.float32)
    bowl = landscape_report.shape(a[:, None] ** 2 + a**2, a, chance=1.0)
    # Points of the grid within the unit circle, its rim apart.
    inside = float(np.mean(a[:, None] ** 2 + a**2 < 1))
    assert bowl == {
        "centre": 0.0,
        "edge": 1.25,
        "basin": inside,
        "negative": 0.0,
        "negative_all": 0.0,
    }
    saddle = landscape_report.shape(a[:, None] ** 2 - a**2, a, chance=9.0)
    assert (saddle["negative"], saddle["negative_all"]) == (1.0, 1.0)
    assert np.isnan(landscape_report.shape(np.full((9, 9), 5.0), a, chance=1.0)["negative"])


def rows(arm, depth, values):
    return [
        {"arm": arm, "depth": depth, "seed": s, "negative": v, "train_loss": 0.4}
        for s, v in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("plain", "residual", "word"),
    [
        ((3, 4), (1, 2), "agrees"),
        ((1, 2), (3, 4), "disagrees"),
        ((1, 3), (2, 4), "not shown"),
        ((3,), (1,), "not shown"),
        ((3, np.nan), (1, 2), "not shown"),
    ],
)
def test_seeds_that_overlap_show_nothing(plain, residual, word):
    config = landscape.Config(depths=(8,))
    results = rows("plain", 8, plain) + rows("residual", 8, residual)
    asked = 8, "negative", "it is", "plain", 1.1
    found = landscape_report._compared(config, results, *asked)
    assert found.verdict == word
    # Around a net that has learned nothing there is no minimum to look at.
    results[0]["train_loss"] = results[1]["train_loss"] = 1.09
    found = landscape_report._compared(config, results, *asked)
    assert found.verdict == "not shown"
    assert "hardly trained: plain 8 (" in found.measured


def test_a_wrong_filter_is_seen():
    params = {"stack": {"blocks": jnp.ones((2, 3, 3, 1, 2))}}
    right = jax.tree.map(lambda a: -a, params)
    assert landscape._norms_off(params, right) == 0
    # Layers whose norms are right only together.
    wrong = {
        "stack": {
            "blocks": params["stack"]["blocks"] * jnp.array([0.6, 1.28]).reshape(2, 1, 1, 1, 1)
        }
    }
    assert landscape._norms_off(params, wrong) > 0.2


def test_what_cannot_be_run_is_refused():
    with pytest.raises(ValueError, match="give even numbers"):
        landscape.Config(depths=(8, 9))
    with pytest.raises(ValueError, match="give an odd number"):
        landscape.Config(points=24)
