"""Adaptive pooling against PyTorch's bins, its gradients, and its receptive field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseg import analysis, ops


def reference(x, bins):
    """The mean of each bin, by the definition."""
    y = np.asarray(x)
    for axis, count in enumerate(bins, start=1):
        n = y.shape[axis]
        edges = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
        y = np.stack([np.take(y, range(*e), axis).mean(axis) for e in edges], axis)
    return y


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 7)), min_size=1, max_size=3))
def test_bins_are_means(axes):
    size, bins = zip(*axes, strict=True)
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *size, 3)))
        np.testing.assert_allclose(ops.adaptive_avg_pool(x, bins), reference(x, bins), rtol=1e-12)


@pytest.mark.parametrize("bins", [1, 2, 3, 6, (4, 9)])
def test_as_in_pytorch(bins):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 7, 11, 3))
    cotangent = np.random.default_rng(1).normal(size=(2, *np.broadcast_to(bins, 2), 3))
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda x: ops.adaptive_avg_pool(x, bins), jnp.asarray(x))
        (dx,) = pull(jnp.asarray(cotangent))
    leaf = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    expected = torch.nn.functional.adaptive_avg_pool2d(leaf, bins)
    expected.backward(torch.tensor(np.moveaxis(cotangent, -1, 1).copy()))
    np.testing.assert_allclose(np.moveaxis(y, -1, 1), expected.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(np.moveaxis(dx, -1, 1), leaf.grad.numpy(), atol=1e-14)


def test_sixteen_bits_are_summed_in_float32():
    x = jnp.full((1, 4096, 1), 1.0, jnp.bfloat16).at[0, 0, 0].set(4096.0)
    y = ops.adaptive_avg_pool(x, 1)
    assert y.dtype == jnp.bfloat16
    assert float(y[0, 0, 0]) == 2.0


def test_each_bin_sees_its_own_pixels():
    field = analysis.receptive_field(lambda x: ops.adaptive_avg_pool(x, 3), jnp.zeros((1, 7, 8, 1)))
    assert [field.window((i, i)) for i in range(3)] == [
        ((0, 2), (0, 2)),
        ((2, 4), (2, 5)),
        ((4, 6), (5, 7)),
    ]


@pytest.mark.parametrize(
    ("x", "size", "message"),
    [
        (jnp.zeros((1, 4, 1)), 0, "size=0 has an entry below 1"),
        (jnp.zeros((1, 0, 1)), 2, "has an empty axis"),
        (jnp.zeros((1, 4, 1), jnp.int32), 2, "convert images to a floating dtype"),
        (jnp.zeros((1, 4, 1)), (2, 2), "size"),
    ],
)
def test_what_cannot_be_pooled_is_refused(x, size, message):
    with pytest.raises(ValueError, match=message):
        ops.adaptive_avg_pool(x, size)
