"""Dropout zeroes a share and keeps the mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import nn


def test_dropout():
    x = jnp.full((100, 100), 3.0)
    y = np.asarray(nn.dropout(x, 0.25, jax.random.key(0)))
    assert set(np.unique(y)) == {0.0, 4.0}
    assert np.mean(y == 0) == pytest.approx(0.25, abs=0.02)
    assert nn.dropout(x, 0.25, None) is x
    assert nn.dropout(x, 0.0, jax.random.key(0)) is x
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"rate={rate} must be at least 0 and below 1"):
            nn.dropout(x, rate, None)
