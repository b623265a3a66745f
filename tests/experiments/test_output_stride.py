"""The study of output strides, from runs to a verdict."""

import csv
from dataclasses import replace

import jax
import output_stride
import pytest
import studies


@pytest.mark.slow
def test_arms_are_trained_evaluated_and_judged(tmp_path, capsys):
    config = replace(
        output_stride.PRESETS["tiny"],
        out=tmp_path / "study",
        steps=2,
        arms=("stride 32", "fcn32s"),
        data=replace(output_stride.PRESETS["tiny"].data, data_dir=tmp_path / "data"),
    )
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        output_stride.main(config)
        said = capsys.readouterr().out
        assert "| stride 32 |" in said
        assert "not asked: 1 of the arms" in said
        rows = (config.out / "results.csv").read_text().splitlines()
        assert [row.split(",")[0] for row in rows] == ["arm", "stride 32", "fcn32s"]
        with (config.out / "verdicts.csv").open() as file:
            verdicts = list(csv.DictReader(file))
        assert [v["verdict"] for v in verdicts] == ["not shown"] * 2
        assert {*verdicts[0]} == {*studies.VERDICTS}
        assert (config.out / "output_stride.png").exists()
        # Everything is there: nothing is trained again.
        before = (config.out / "results.csv").stat().st_mtime_ns
        output_stride.main(replace(config, resume=True))
        assert (config.out / "results.csv").stat().st_mtime_ns == before


def rows(ious):
    return [{"arm": arm, "mean_iou": iou} for arm, seeds in ious.items() for iou in seeds]


def test_the_verdict_is_the_order_beyond_the_seeds_spread():
    strides = {"stride 4": [0.5, 0.6], "stride 8": [0.4, 0.45], "stride 32": [0.1, 0.2]}
    skips = {"fcn8s": [0.3, 0.4], "fcn16s": [0.3, 0.35], "fcn32s": [0.1, 0.2]}
    by_stride, by_skip = output_stride.judge(rows(strides | skips))
    assert (by_stride.heading, by_stride.verdict) == ("Dilation", "agrees")
    assert "stride 4 0.550 (0.500 to 0.600), stride 8" in by_stride.measured
    assert (by_skip.heading, by_skip.verdict) == ("Segmentation", "not shown")
    turned = {"stride 4": [0.1, 0.2], "stride 32": [0.5, 0.6]}
    assert output_stride.judge(rows(turned))[0].verdict == "disagrees"


def test_an_unknown_arm_is_refused():
    with pytest.raises(ValueError, match="must be some of"):
        output_stride.Config(arms=("stride 64",))
