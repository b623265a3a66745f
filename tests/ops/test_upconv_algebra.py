"""An upconvolution is made of the convolutions of its phases."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import ops


def draw(*shape):
    return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape))


@pytest.mark.parametrize(("stride", "taps"), [(2, 1), (2, 2), (3, 2)])
def test_it_is_the_pixel_shuffle_of_a_convolution_a_phase(x64, stride, taps):
    """Shi et al. 2016 (arXiv:1609.07009), for a window of stride * taps."""
    x, kernel = draw(2, 4, 5, 3), draw(stride * taps, stride * taps, 3, 2)
    last = stride - 1
    parts = [
        ops.conv(x, kernel[last - i :: stride, last - j :: stride], padding=taps - 1)
        for i, j in itertools.product(range(stride), range(stride))
    ]
    stacked = jnp.stack(parts, axis=-1)
    shuffled = ops.pixel_shuffle(stacked.reshape(*stacked.shape[:3], -1), stride)
    with ops.lowering("direct"):
        whole = ops.upconv(x, kernel, stride=stride, padding="valid")
    np.testing.assert_allclose(shuffled, whole, rtol=1e-12, atol=1e-13)
