"""The depth study refuses what cannot be run."""

import pytest

from experiments.depth_scaling.config import PRESETS, Config, load_data


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": (12, 16)}, r"size=\(12, 16\): mosaics are square"),
        ({"devices": -1}, "devices=-1 must not be negative"),
        ({"features": 0}, "features=0 must be at least 1"),
        ({"dilation": 0}, "dilation=0 must be at least 1"),
        ({"checkpoint": -1}, "checkpoint=-1 must be at least 0"),
        ({"arms": ("plain", "deep")}, "unknown: deep"),
        ({"arms": ()}, "must be some of plain, plain_norm"),
        ({"depths": (8, 9)}, "even numbers from 4"),
        ({"depths": (2,)}, "a net has a stem"),
        ({"depths": (8, 8)}, "each once"),
        ({"depths": ()}, "even numbers from 4"),
        ({"seeds": 0}, "seeds=0 must be at least 1"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Config(**fields)


def test_more_depths_seeds_and_rates_may_be_added():
    assert {"depths", "seeds", "learning_rates", "arms"} <= {*Config.may_differ}
    assert not {"steps", "features", "dilation"} & {*Config.may_differ}
    assert Config(dataset="camvid", size=(60, 80)).size == (60, 80)
    assert PRESETS["deepest"].depths == (1026,)


@pytest.mark.parametrize(
    ("directory", "message"), [("/nowhere/at/all", "/nowhere/at/all"), (None, "JAXSEG_CAMVID")]
)
def test_a_data_set_that_is_missing_is_named(directory, message, tmp_path, monkeypatch):
    monkeypatch.delenv("JAXSEG_CAMVID", raising=False)
    config = Config(dataset="camvid", camvid_dir=directory, data_dir=tmp_path)
    with pytest.raises(ValueError, match=message):
        load_data(config)
