"""The study of upconvolutions: what it leaves, what it goes on with, how it judges."""

import csv
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import upconvolution
import upconvolution_algebra
import upconvolution_tables as tables
from flax import nnx
from upconvolution_config import PRESETS, UPS, Config
from upconvolution_start import SHARE

from jaxseg.training.sweep import Member

FILES = {
    "config.json",
    "start.csv",
    "energies.csv",
    "results.csv",
    "verdicts.csv",
    "summary.md",
    "algebra.png",
    "overlap.png",
    "start.png",
    "checkerboard.png",
    "decoders.png",
    "pictures",
}


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_from_the_command_line_to_verdicts(tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    config = replace(
        PRESETS["tiny"], out=out, data_dir=tmp_path / "data", arms=("sub-pixel ICNR",), windows=()
    )
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        upconvolution.main(config)
    assert {path.name for path in out.iterdir()} == FILES
    results = rows(out / "results.csv")
    assert len(results) == 2
    energies = rows(out / "energies.csv")
    assert [int(r["step"]) for r in energies if r["seed"] == "0"] == [0, 2, 4]
    start = [float(r["logits"]) for r in energies if r["step"] == "0"]
    assert max(start) < 1e-9
    verdicts = {r["claim"]: r for r in rows(out / "verdicts.csv")}
    exact = [r for r in verdicts.values() if "float64" in r["measured"]]
    assert len(exact) == 7
    assert {r["verdict"] for r in exact} == {"agrees"}
    assert verdicts["ICNR starts without a checkerboard of the last level"]["verdict"] == "agrees"
    overlap = next(r for claim, r in verdicts.items() if "more taps meet" in claim)
    assert overlap["measured"] == "4, 2.25, 1"
    assert "| sub-pixel ICNR | 0.01 |" in capsys.readouterr().out

    # All is there: nothing is trained again, and the numbers stay the same.
    monkeypatch.setattr(upconvolution, "exact_verdicts", list)
    before = (out / "results.csv").read_bytes(), (out / "energies.csv").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(upconvolution, "train_members", None)
        upconvolution.main(replace(config, resume=True))
    assert before == ((out / "results.csv").read_bytes(), (out / "energies.csv").read_bytes())
    # What a kill left of a run without its result is written anew, and no other run.
    lines = before[0].splitlines(keepends=True)
    (out / "results.csv").write_bytes(b"".join(lines[:-1]))
    study, asked = upconvolution.Study(replace(config, resume=True)), []

    def stop(init, members):
        asked.extend(members)
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "_drawn", stop)
    with pytest.raises(KeyboardInterrupt):
        study.run("sub-pixel ICNR")
    assert asked == [(1, 0.01)]
    worse = dict(study.results.rows[0], seed=1, train_loss=9.0)
    look = {"logits": np.ones(1), "gradient": np.ones(1), "view": np.ones((1, 2, 8, 8, 3))}
    picture = (out / "pictures" / "sub-pixel_ICNR.npy").read_bytes()
    study._keep("sub-pixel ICNR", [Member(1, 0.01)], [worse], {0: look, 2: look, 4: look})
    keys = [(row["seed"], row["step"]) for row in study.energies.rows]
    assert sorted(keys) == [(seed, step) for seed in (0, 1) for step in (0, 2, 4)]
    assert len(study.results.rows) == 2
    assert picture == (out / "pictures" / "sub-pixel_ICNR.npy").read_bytes()
    with pytest.raises(ValueError, match="holds results"):
        upconvolution.main(config)


def test_phases_are_every_second_tap():
    kernel = upconvolution_algebra._draw(4, 4, 2, 2)
    parts = upconvolution_algebra.phases_of(kernel)
    assert [p for _, p in parts][1] == ((1, 0), (0, 1))
    np.testing.assert_array_equal(parts[1][0], kernel[0::2, 1::2])


def test_every_layer_doubles_and_equal_arms_have_equal_parameters():
    counts = {}
    for arm, make in UPS.items():
        layer = nnx.eval_shape(lambda make=make: make(3, nnx.Rngs(0)))
        y = jax.eval_shape(lambda x, make=make: make(3, nnx.Rngs(0))(x), jnp.zeros((1, 5, 4, 3)))
        assert y.shape == (1, 10, 8, 3)
        counts[arm] = layer.conv.kernel.size if hasattr(layer, "conv") else layer.kernel.size
    assert {arm: n // 9 for arm, n in counts.items() if n != 16 * 9} == {
        "upconv k2s2": 4,
        "upconv k3s2": 9,
    }


def test_energies_by_rate_are_those_at_last():
    energies = [
        {"arm": "sub-pixel", "seed": seed, "learning_rate": rate, "step": step, "logits": value}
        for rate, step, *values in ((0.1, 0, 9.0, 9.0), (0.1, 4, 1.0, 3.0), (0.2, 4, 5.0, 5.0))
        for seed, value in enumerate(values)
    ]
    head, _, line, labels = tables.rate_table(energies, 0.4)
    assert head.endswith("rate | 0.1 | 0.2 |")
    assert line == "| sub-pixel | 2.00 ± 1.00 | 5.00 ± 0.00 |"
    assert labels == "| the labels | 0.40 | 0.40 |"


def test_theory_that_is_not_met_is_said_so():
    row = {
        "quantity": SHARE,
        "case": "sub-pixel",
        "theory": 0.75,
        "measured": 0.74,
        "error": 0.01,
        "draws": 64,
    }

    def verdict(**changes):
        return tables.verdicts([{**row, **changes}], [], [], 0.4)[0].verdict

    assert verdict() == "agrees"
    assert verdict(measured=0.7) == "disagrees"
    assert verdict(measured=0.7, error=0.2) == "not shown"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arms": ("unpooling",)}, "must be some of"),
        ({"size": 18}, "multiple of 4"),
        ({"steps": 7, "looks": 2}, "looks=2 must divide steps=7"),
        ({"draws": 5}, "must be even"),
        ({"learning_rates": ()}, "positive rates"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Config(**fields)
