"""The dilation study: its nets, its verdicts, and what it leaves."""

import csv
from dataclasses import replace

import dilation
import dilation_config
import dilation_nets
import dilation_tables
import jax
import jax.numpy as jnp
import pytest
import studies
from dilation_nets import ARMS
from flax import nnx

from jaxseg import analysis

SHAPE = {"inputs": 1, "classes": 3}


def net(arm, features=4):
    return dilation_nets.DilationNet(ARMS[arm], features=features, rngs=nnx.Rngs(0), **SHAPE)


def cost(arm, features, size=(29, 33)):
    return dilation_nets.multiply_adds(ARMS[arm], features, size, **SHAPE)


def test_widths_make_arms_equal():
    widths = {arm: dilation_nets.width(ARMS[arm], 4, (29, 33), **SHAPE) for arm in ARMS}
    wide = widths.pop("strided_wide")
    assert {*widths.values()} == {4}
    assert cost("strided_wide", wide - 1) < cost("plain", 4) < cost("strided_wide", wide + 1)
    assert wide > 4


def test_multiply_adds_are_those_of_the_traced_net():
    image = jax.ShapeDtypeStruct((1, 29, 33, 1), jnp.float32)
    whole = analysis.summary(net("strided").scores, image, depth=0)["all"]
    assert whole.multiply_adds == cost("strided", 4)


def test_fields_are_the_closed_forms():
    fields = {arm: dilation_nets.bare_field(ARMS[arm], 121) for arm in ARMS}
    assert fields == {
        "plain": (13, 13),
        "strided": (29, 29),
        "strided_wide": (29, 29),
        "dilated": (29, 29),
        "cascade": (25, 13),
        "hybrid_123": (25, 25),
        "hybrid_125": (33, 33),
        "degridded": (21, 21),
    }
    for arm, (size, seen) in fields.items():
        assert (ARMS[arm].coverage.size, ARMS[arm].coverage.seen) == (size, seen)


def test_dilation_keeps_what_striding_drops():
    assert ARMS["strided"].unstrided == ARMS["dilated"].rates
    assert dilation_nets.same_scores(0, (29, 33)) < 1e-5


def rows(values, column):
    """Of two rates, the second one better, its values a seed."""
    blank = {**dict.fromkeys(dilation_tables.RESULTS, 1.0), "features": 4}
    return [
        {
            **blank,
            "arm": arm,
            "seed": seed,
            "learning_rate": rate,
            "train_loss": loss,
            column: value if rate == 2 else 9.0,
        }
        for arm, seeds in values.items()
        for seed, value in enumerate(seeds)
        for rate, loss in ((1, 2.0), (2, 1.0))
    ]


def seen(widths, grids=None):
    return [
        {
            "arm": arm,
            "seed": seed,
            "stage": stage,
            "width": width,
            "gridding_2": grid,
            "gridding_4": 1.0,
        }
        for arm, stages in widths.items()
        for stage, values in zip(("before", "after"), stages, strict=True)
        for seed, (width, grid) in enumerate(
            zip(values, (grids or {}).get(arm, (1.0,) * len(values)), strict=True)
        )
    ]


def verdict(found, words):
    (one,) = [v.verdict for v in found if words in v.claim]
    return one


def test_verdicts_follow_the_numbers_at_the_best_rate():
    walks = {arm: ARMS[arm].walk for arm in ("plain", "dilated", "cascade", "degridded")}
    widths = {arm: ([w, 1.01 * w], [1.2 * w, 1.3 * w]) for arm, w in walks.items()}
    ious = {
        "plain": [0.5, 0.6],
        "dilated": [0.7, 0.8],
        "cascade": [0.6, 0.7],
        "degridded": [0.65, 0.8],
    }
    grids = {"cascade": (3.0, 4.0), "degridded": (1.0, 1.1)}
    table = rows(ious, "mean_iou")
    found = dilation_tables.verdicts(table, seen(widths, grids), [0.0, 1e-7])
    for words in (
        "keeps every pixel",
        "random walk",
        "enlarges",
        "dilated net looks farther",
        "IoU over plain convolutions",
        "Equal rates see a grid",
        "period in the trained logits than degridded",
    ):
        assert verdict(found, words) == "agrees", words
    assert verdict(found, "degridded brings IoU") == "not shown"
    assert not [v for v in found if "strided net looks" in v.claim or "hybrid_" in v.claim]
    assert "| 0.550 (0.500 to 0.600) |" in dilation_tables.table(table, seen(widths))[2]
    shrunk = {arm: (before, [0.5 * b for b in before]) for arm, (before, _) in widths.items()}
    found = dilation_tables.verdicts(table, seen(shrunk), [0.1])
    assert verdict(found, "enlarges") == "disagrees"
    assert verdict(found, "keeps every pixel") == "disagrees"


def test_no_net_at_full_resolution_says_nothing_of_a_walk():
    table, widths = rows({"strided": [0.5, 0.6]}, "mean_iou"), {"strided": ([2.0, 2.0], [2.0, 2.0])}
    found = dilation_tables.verdicts(table, seen(widths), [0.0, 1e-7])
    assert verdict(found, "random walk") == "not shown"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arms": ("plane",)}, "are unknown"),
        ({"size": (32, 32)}, r"1 \+ a multiple of 4"),
        ({"learning_rates": (1e-2, 1e-2)}, "each once"),
        ({"seeds": 0}, "at least one"),
        ({"resume": True, "overwrite": True}, "exclude each other"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        dilation_config.Config(**fields)


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_study_leaves_its_files_and_trains_nothing_twice(tmp_path):
    config = replace(
        dilation_config.PRESETS["tiny"],
        out=tmp_path / "out",
        data_dir=tmp_path / "data",
        arms=("cascade",),
        steps=2,
    )
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        dilation.main(config)
        before = (config.out / "results.csv").stat().st_mtime_ns
        dilation.main(replace(config, resume=True))
    assert (config.out / "results.csv").stat().st_mtime_ns == before
    assert {path.name for path in config.out.iterdir()} == {
        "config.json",
        "results.csv",
        "seen.csv",
        "verdicts.csv",
        "summary.md",
        "arrays",
        "brought.png",
        "looked_at.png",
        "gridding.png",
    }
    results, looked = read(config.out / "results.csv"), read(config.out / "seen.csv")
    assert [(row["arm"], row["seed"]) for row in results] == [("cascade", "0"), ("cascade", "1")]
    assert {*results[0]} == {*dilation_tables.RESULTS}
    assert [row["stage"] for row in looked] == ["before"] * 2 + ["after"] * 2
    # Each seed's net is its own, and looks at its own pixels.
    assert len({row["width"] for row in looked}) == len(looked)
    found = read(config.out / "verdicts.csv")
    assert {*found[0]} == {*studies.VERDICTS}
    assert {row["verdict"] for row in found} <= {"agrees", "disagrees", "not shown"}
    assert verdict([studies.Verdict(**row) for row in found], "keeps every pixel") == "agrees"
