"""Functions of a key are called for every seed, shared out among the devices."""

import jax
import numpy as np
import pytest

from jaxseg.studies import draw_nets, over_seeds


def draw(key):
    return {"w": jax.random.normal(key, (2,))}, jax.random.uniform(key)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_every_seed_has_its_own_key(seeds):
    params, stats = over_seeds(draw, seeds)
    assert isinstance(stats, np.ndarray)
    assert (params["w"].shape, stats.shape) == ((seeds, 2), (seeds,))
    for seed in range(seeds):
        expected = draw(jax.random.key(seed))
        np.testing.assert_allclose(params["w"][seed], expected[0]["w"], rtol=1e-6)
        np.testing.assert_allclose(stats[seed], expected[1], rtol=1e-6)
    np.testing.assert_array_equal(draw_nets(draw, seeds)[0]["w"], params["w"])
