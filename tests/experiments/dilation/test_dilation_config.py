"""The dilation study refuses what cannot be run."""

import pytest

from experiments.dilation.config import PRESETS, Config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arms": ("plane",)}, "unknown: plane"),
        ({"size": (32, 32)}, r"1 \+ a multiple of 4"),
        ({"size": (25, 25)}, "at least 29"),
        ({"size": (29, 33)}, "mosaics are square"),
        ({"learning_rates": (1e-2, 1e-2)}, "each once"),
        ({"seeds": 0}, "seeds=0 must be at least 1"),
        ({"projections": 0}, "projections=0"),
        ({"resume": True, "overwrite": True}, "exclude each other"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Config(**fields)


def test_street_scenes_need_not_be_square():
    assert PRESETS["camvid"].size == (45, 61)
    assert "camvid_dir" in Config.may_differ
    assert {"arms", "seeds", "learning_rates"} <= {*Config.may_differ}
