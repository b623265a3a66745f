"""The study of paths, from nets to verdicts."""

import math
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import paths
import paths_config
import paths_report
import pytest
import studies
from paths_nets import theory

from jaxseg import analysis, plots
from jaxseg.training import records


@pytest.mark.slow
def test_the_tiny_study_leaves_tables_figures_and_verdicts(tmp_path, capsys):
    config = replace(
        paths_config.PRESETS["tiny"],
        out=tmp_path / "study",
        data_dir=tmp_path / "data",
        steps=2,
        blocks=4,
        shallow=3,
        arms=("residual_norm",),
    )
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        paths.main(config)
    assert "# Paths" in capsys.readouterr().out
    found = {
        name: records.read_csv(config.out / f"{name}.csv", columns)
        for name, columns in paths_report.COLUMNS.items()
    }
    assert len(found["results"]) == 2 * 2  # depths, seeds
    assert len(found["paths"]) == 2 * 2 * 5  # seeds, times, lengths
    # The sum over lengths is the gradient that autodiff finds in the very net.
    assert max(row["off"] for row in found["paths"]) < 1e-5
    whole = [row for row in found["lesions"] if row["kind"] == "whole"]
    assert len(whole) == 4
    assert all(0 <= row["accuracy"] <= 1 and math.isfinite(row["loss"]) for row in whole)
    verdicts = records.read_csv(config.out / "verdicts.csv", dict.fromkeys(studies.VERDICTS, str))
    assert verdicts[0]["verdict"] == "agrees"
    assert {row["heading"] for row in verdicts} == {"Residual connections"}
    for name in ("paths.png", "lesions.png", "summary.md"):
        assert (config.out / name).stat().st_size > 0
    # Everything is there: nothing is trained again.
    before = (config.out / "results.csv").stat().st_mtime_ns
    paths.main(replace(config, resume=True))
    assert (config.out / "results.csv").stat().st_mtime_ns == before


def test_lesions_are_what_they_are_called():
    for kind, number, order, there in paths.lesions(9, 3):
        if kind == "shuffle":
            assert there.all()
            assert np.sum(order != np.arange(9)) == number
            assert sorted(order) == list(range(9))
        else:
            np.testing.assert_array_equal(order, np.arange(9))
            removed = {"whole": 0, "block": 1, "delete": number}[kind]
            assert np.sum(~there) == removed
            assert kind != "block" or not there[number]


def test_unscaled_branches_follow_the_binomial_law():
    """But for the border, which takes the less the larger the image is."""
    squares, norms = theory({"residual": True, "branch_scale": 1.0}, 54, 2000)
    law = np.exp(analysis.log_path_counts(54) - 54 * math.log(2))
    np.testing.assert_allclose(paths_report.shares(squares[None])[0], law, atol=2e-3)
    np.testing.assert_allclose(norms, squares, atol=0.02)


def test_scaled_branches_follow_about_a_poisson_law():
    """Of mean 1 in the squares; of mean sqrt(L) / (1 + 1 / sqrt(L)) in the norms."""
    found = [paths_report.shares(logs[None]) for logs in theory({"residual": True}, 100, 2000)]
    lengths = [paths_report.mean_length(shares)[0] for shares in found]
    np.testing.assert_allclose(lengths, [100 / 101, 100 / 11], rtol=1e-2)


def test_batch_norm_takes_fewer_branches_the_later_they_stand():
    squares, norms = theory({"residual": True, "norm": "batch", "branch_scale": 1.0}, 54, 16)
    gains = 1.46694 / (1 + np.arange(54) / 1.46694)
    mean = paths_report.mean_length(paths_report.shares(squares[None]))[0]
    np.testing.assert_allclose(mean, np.sum(gains / (1 + gains)), rtol=1e-4)
    assert paths_report.mean_length(paths_report.shares(norms[None]))[0] > mean


def test_what_cannot_be_run_is_refused():
    with pytest.raises(ValueError, match="shallow=54 must be fewer"):
        paths_config.Config(shallow=54)
    with pytest.raises(ValueError, match="are unknown: give some of"):
        paths_config.Config(arms=("resnet",))
    for arms in (("plain", "plain_isometric"), ("residual_unscaled", "plain")):
        with pytest.raises(ValueError, match="give one with shortcuts"):
            paths_config.Config(arms=arms)
    with pytest.raises(ValueError, match="samples=1"):
        paths_config.Config(samples=1)


@pytest.mark.parametrize(
    ("plain", "residual", "word"),
    [
        ([0.8, 0.9], [0.12, 0.15], "agrees"),
        ([0.3, 0.4], [0.12, 0.15], "not shown"),  # in order, but not fatal
        ([0.3, 0.8], [0.2, 0.4], "not shown"),  # the seeds overlap
        ([0.2, 0.3], [0.8, 0.9], "disagrees"),
        ([np.nan, 0.9], [0.12, 0.15], "not shown"),
    ],
)
def test_one_block_is_judged_by_the_seeds(plain, residual, word):
    """Of nets whose loss is .1, where 1.1 is chance; the second seed of a twin may know nothing."""
    assert _without_a_block(plain, residual, 0.1) == word
    assert _without_a_block(plain, residual, 1.2) == "not shown"


def _without_a_block(plain, residual, second):
    arms = {
        arm: plots.Lesions(np.array([0.1, whole]), np.array(lost)[:, None] + np.zeros(3), {}, {})
        for arm, lost, whole in (("plain", plain, 0.1), ("residual", residual, second))
    }
    return paths_report._one_block(paths_config.Config(), arms, "plain", "residual", 7, 1.1).verdict


@pytest.mark.parametrize(
    ("short", "words"),
    [
        ([0.95, 0.97], ["agrees", "agrees", "not shown"]),
        ([0.85, 0.97], ["not shown", "not shown", "not shown"]),
        ([0.6, 0.7], ["disagrees", "disagrees", "not shown"]),
        ([np.nan, 0.97], ["not shown"] * 3),
    ],
)
def test_short_paths_are_judged_by_every_seed(short, words):
    """Shares at lengths 1 and 50; the longer ones by sampling in one seed alone."""
    begun = np.full((2, 55), 1 / 55)

    def shown(short):
        trained = np.zeros((2, 55))
        trained[:, 1], trained[:, 50] = short, 1 - np.array(short)
        return plots.ByLength(begun, begun[0], trained)

    exact, sampled = shown(short), shown(np.add(short, [0.01, -0.01]))
    curves = {"residual_norm": {"exact": exact, "single": exact, "sampled": sampled}}
    found = paths_report._short(paths_config.Config(seeds=2), curves)
    assert [v.verdict for v in found] == words


def test_a_distance_that_is_not_a_number_is_seen():
    """max() of Python sees NaN only where it comes first."""
    table = studies.Table(Path("none"), {}, resume=False)
    table.rows = [{"off": 1e-7}, {"off": math.nan}]
    found = paths_report.path_verdicts(paths_config.Config(), {"paths": table}, {})
    assert found[0].verdict == "disagrees"
