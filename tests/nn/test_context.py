"""The context module's fields, its start as the identity, and the upconvolutions of FCN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from flax import nnx

from jaxseg import analysis, models, nn
from jaxseg.nn.context import identity


def test_fields_are_those_of_the_paper():
    net = nn.ContextModule(2, rngs=nnx.Rngs(0))
    table = analysis.summary(net, jax.ShapeDtypeStruct((1, 80, 80, 2), jnp.float32))
    fields = [layer.field.size for layer in table.layers if layer.name not in ("", "all")]
    assert fields == [(n, n) for n in (3, 5, 9, 17, 33, 65, 67, 67)]


# Scores below 1 are rounded once in each of the eight layers.
@pytest.mark.parametrize(("width", "rounding"), [("basic", 0), ("large", 8 * 2.0**-24)])
def test_it_starts_by_passing_scores_on(width, rounding):
    x = jax.random.uniform(jax.random.key(0), (1, 5, 7, 3))
    net = nn.ContextModule(3, width=width, noise=0.0, rngs=nnx.Rngs(0))
    noisy = nn.ContextModule(3, width=width, rngs=nnx.Rngs(0))
    clean, changed = quick_jit(lambda x: (net(x), noisy(x)))(x)
    np.testing.assert_allclose(clean, x, rtol=0, atol=rounding)
    # Eight layers whose 27 weights or more a channel are off by .001 each: from .011 to .018 here.
    assert 0.005 < np.max(np.abs(changed - x)) < 0.04


@pytest.mark.parametrize("noise", [1e-3, 0.02])
def test_the_noise_of_the_kernels_has_its_standard_deviation(noise):
    clean, noisy = (
        nn.ContextModule(3, width="large", noise=n, rngs=nnx.Rngs(0)) for n in (0.0, noise)
    )
    for one, other in zip(clean.layers[3:], noisy.layers[3:], strict=True):
        difference = other.kernel[...] - one.kernel[...]  # 2,592 weights at least
        assert np.std(difference) == pytest.approx(noise, rel=0.05)
        assert abs(np.mean(difference)) < 0.06 * noise


def test_scores_may_become_negative():
    """No ReLU behind the last convolution."""
    net = nn.ContextModule(2, noise=0.0, rngs=nnx.Rngs(0))
    net.last.bias[...] = jnp.full(2, -3.0)
    y = quick_jit(lambda x: net(x))(jnp.ones((1, 4, 4, 2)))
    np.testing.assert_allclose(y, jnp.full((1, 4, 4, 2), -2.0), rtol=1e-5)


def test_identity_repeats_or_averages_channels():
    kernel = identity()(jax.random.key(0), (1, 1, 2, 4))[0, 0]
    np.testing.assert_array_equal(kernel, [[1, 1, 0, 0], [0, 0, 1, 1]])
    kernel = identity()(jax.random.key(0), (3, 3, 4, 2))
    np.testing.assert_array_equal(kernel[1, 1], np.array([[1, 1, 0, 0], [0, 0, 1, 1]]).T / 2)
    assert np.sum(kernel) == 2


def test_an_unknown_width_is_refused():
    with pytest.raises(ValueError, match="width='huge' is unknown"):
        nn.ContextModule(3, width="huge", rngs=nnx.Rngs(0))


def test_upconvolutions_of_fcn_start_as_bilinear_interpolation():
    size = models.ResNetSize((1, 1, 1, 1), bottleneck=False, width=2)
    net = models.SkipFCN(classes=2, backbone=size, finest=8, rngs=nnx.Rngs(0))
    assert [up.kernel.shape for up in net.ups] == [(4, 4, 2, 2)] * 2 + [(16, 16, 2, 2)]
    slope = jnp.broadcast_to(jnp.arange(6.0)[None, :, None, None], (1, 6, 6, 2))
    for up, stride in zip(net.ups, (2, 2, 8), strict=True):
        inner = quick_jit(lambda x, up=up: up(x))(slope)[0, 2 * stride : -2 * stride, 3 * stride, 0]
        np.testing.assert_allclose(np.diff(inner), 1 / stride, rtol=1e-4, atol=1e-5)
