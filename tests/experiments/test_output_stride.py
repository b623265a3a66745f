"""The study of output strides, from runs to a verdict."""

from dataclasses import replace

import jax
import output_stride
import pytest


@pytest.mark.slow
def test_arms_are_trained_evaluated_and_judged(tmp_path, capsys):
    config = replace(
        output_stride.PRESETS["tiny"], out=tmp_path / "study", steps=2,
        arms=("stride 32", "fcn32s"), data=replace(
            output_stride.PRESETS["tiny"].data, data_dir=tmp_path / "data"
        ),
    )  # fmt: skip
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        output_stride.main(config)
        said = capsys.readouterr().out
        assert "| stride 32 |" in said
        assert "not asked, of 1 arms" in said
        rows = (config.out / "results.csv").read_text().splitlines()
        assert [row.split(",")[0] for row in rows] == ["arm", "stride 32", "fcn32s"]
        assert (config.out / "output_stride.png").exists()
        # Everything is there: nothing is trained again.
        before = (config.out / "results.csv").stat().st_mtime_ns
        output_stride.main(replace(config, resume=True))
        assert (config.out / "results.csv").stat().st_mtime_ns == before


def test_the_verdict_is_the_order():
    claim, order = "rises", ["a", "b", "c"]
    assert ": seen (a 0.300, b 0.200)" in output_stride.verdict(claim, {"b": 0.2, "a": 0.3}, order)
    worse = {"a": 0.1, "b": 0.2, "c": 0.0}
    assert ": not seen (a 0.100, b 0.200, c 0.000)" in output_stride.verdict(claim, worse, order)


def test_an_unknown_arm_is_refused():
    with pytest.raises(ValueError, match="must be some of"):
        output_stride.Config(arms=("stride 64",))
