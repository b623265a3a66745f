"""The landscape study refuses what cannot be run."""

import numpy as np
import pytest

from experiments.landscape.config import Config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depths": (8, 9)}, "give even numbers"),
        ({"depths": (2,)}, "even numbers from 4"),
        ({"depths": (8, 8)}, "each once"),
        ({"depths": ()}, "give even numbers"),
        ({"points": 24}, "give an odd number"),
        ({"points": 3}, "an odd number from 5"),
        ({"reach": 0.0}, "positive reach"),
        ({"lanczos": 0}, "lanczos=0"),
        ({"arms": ("flat",)}, "must be some of"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Config(**fields)


def test_the_net_itself_is_in_the_middle_of_the_grid():
    offsets = Config(points=5, reach=2.0).offsets
    np.testing.assert_array_equal(offsets, np.array([-2, -1, 0, 1, 2], np.float32))
    assert offsets.dtype == np.float32


def test_more_depths_seeds_and_rates_may_be_added():
    assert {"depths", "seeds", "learning_rates", "arms"} <= {*Config.may_differ}
    assert not {"points", "reach", "images"} & {*Config.may_differ}
