"""The output_stride study's arms are nets that exist, and what cannot be run is refused."""

import math

import pytest

from experiments.output_stride.config import ARMS, PRESETS, SKIPS, STRIDES, Config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arms": ("stride 64",)}, "must be some of .*unknown: stride 64"),
        ({"arms": ()}, "must be some of"),
        ({"arms": ("fcn8s", "fcn8s")}, "each once"),
        ({"seeds": 0}, "seeds=0 must be at least 1"),
        ({"steps": 0}, "steps=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"width": 0}, "width=0"),
        ({"size": (64, 0)}, r"size=\(64, 0\) must be at least 1"),
        ({"size": (64, 32)}, "mosaics are square"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be a positive number"),
        ({"learning_rate": math.nan}, "learning_rate=nan must be a positive number"),
        ({"devices": -1}, "devices=-1"),
    ],
)
def test_what_cannot_be_run_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


def test_arms_and_seeds_may_be_added():
    assert {"arms", "seeds", "directory", "data_dir", "resume"} <= {*Config.may_differ}
    kept = {"dataset", "size", "width", "steps", "batch_size", "learning_rate", "split"}
    assert not kept & {*Config.may_differ}
    # Each batch is one device's, whatever the number of cores.
    assert {preset.devices for preset in PRESETS.values()} == {1}


def test_every_arm_is_in_an_order():
    assert {*ARMS} == {*STRIDES, *SKIPS}
    assert ARMS["stride 16"] == {"name": "fcn", "output_stride": 16}
    assert ARMS["fcn16s"] == {"name": "fcn16s"}
