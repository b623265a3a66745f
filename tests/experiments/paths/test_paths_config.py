"""The study of paths refuses what cannot be run, and knows which arms are trained how deep."""

import pytest

from experiments.paths.config import PRESETS, Config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shallow": 54}, "shallow=54 must be fewer"),
        ({"arms": ("resnet",)}, "must be some of"),
        ({"arms": ("plain", "plain_isometric")}, "give one with shortcuts"),
        ({"arms": ("residual_unscaled", "plain")}, "give one with shortcuts"),
        ({"samples": 1}, "samples=1"),
        ({"sampled": 1}, "sampled=1"),
        ({"shallow": 1}, "shallow=1"),
        ({"images": 0}, "images=0"),
        ({"learning_rates": (1e-3, 1e-3)}, "each once"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Config(**fields)


def test_plain_nets_are_shallow_and_unscaled_ones_are_not_trained():
    config = PRESETS["quick"]
    assert config.measured == ("residual_unscaled", "residual", "residual_norm")
    assert config.nets == {
        54: ("residual", "residual_norm", "plain_isometric"),
        7: ("residual", "residual_norm", "plain", "plain_norm", "plain_isometric"),
    }
    assert Config(shallow=53).nets.keys() == {54, 53}
    few = Config(arms=("plain", "residual"))
    assert few.measured == ("residual",)
    assert few.nets == {54: ("residual",), 7: ("residual", "plain")}
    assert {"arms", "seeds", "learning_rates"} <= {*Config.may_differ}
    assert not {"blocks", "samples", "images"} & {*Config.may_differ}
