"""The long_skips study refuses what cannot be run."""

import pytest

from experiments.long_skips.config import PRESETS, Config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arms": ("concat",)}, "must be some of"),
        ({"size": 18}, r"a multiple of 2\*\*\(levels - 1\)"),
        ({"levels": 1}, "must be at least 2"),
        ({"images": 12}, "epochs are whole"),
        ({"steps": 161}, "epochs are whole"),
        ({"learning_rates": (0.1, -1.0)}, "positive"),
        ({"blocks": 0}, "blocks=0"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Config(**fields)


def test_an_epoch_sees_every_image_once():
    config = PRESETS["quick"]
    assert (config.epoch_steps, config.epochs) == (16, 10)
