"""Mirroring against NumPy, its gradient, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import ops


@pytest.mark.parametrize("size", [(1, 4), (2, 3), (5, 1)])
@pytest.mark.parametrize("padding", [((0, 0), (1, 2)), ((7, 0), (11, 13))])
def test_mirrored_as_numpy_mirrors(size, padding):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    wanted = np.pad(x, [(0, 0), *padding, (0, 0)], mode="reflect")
    np.testing.assert_array_equal(ops.mirror_pad(jnp.asarray(x), padding), wanted)


def test_every_pixel_gets_the_gradient_of_its_images():
    x = jnp.ones((1, 3, 1))
    gradient = jax.grad(lambda x: jnp.sum(ops.mirror_pad(x, [(2, 2)])))(x)
    np.testing.assert_array_equal(gradient.ravel(), [2, 3, 2])


@pytest.mark.parametrize("padding", [[(1, 1)], [(1, 1), (0, -1)], [(1, 1), (1, 2, 3)]])
def test_paddings_that_fit_no_image_are_refused(padding):
    with pytest.raises(ValueError, match=r"must be 2 pairs \(before, after\)"):
        ops.mirror_pad(jnp.ones((1, 3, 3, 1)), padding)
