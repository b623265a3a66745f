"""Pixel shuffling: values by hand, PyTorch's channel order, inverses, transformations, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseg import ops


def test_four_channels_become_one_block_row_by_row():
    x = jnp.asarray([[[[1.0, 2.0, 3.0, 4.0]]]])
    y = ops.pixel_shuffle(x, 2)
    np.testing.assert_array_equal(y[0, :, :, 0], [[1, 2], [3, 4]])


def test_channels_are_blocks_after_one_another():
    x = jnp.arange(8).reshape(1, 1, 8)
    y = ops.pixel_shuffle(x, 4)
    np.testing.assert_array_equal(y[0], [[0, 4], [1, 5], [2, 6], [3, 7]])


def test_the_formula_one_factor_per_axis():
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 4, 24)).astype(np.float32)
    y = np.asarray(ops.pixel_shuffle(x, (2, 3, 1)))
    assert y.shape == (2, 6, 6, 4, 4)
    for h, w, d, c, i, j in np.ndindex(3, 2, 4, 4, 2, 3):
        np.testing.assert_array_equal(
            y[:, 2 * h + i, 3 * w + j, d, c], x[:, h, w, d, 6 * c + 3 * i + j]
        )


@settings(max_examples=8)
@given(data=st.data())
def test_inverse_and_adjoint(data):
    space = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    factors = tuple(data.draw(st.integers(1, 3)) for _ in space)
    block, channels = int(np.prod(factors)), data.draw(st.integers(1, 2))
    x = np.random.default_rng(0).normal(size=(2, *space, channels * block)).astype(np.float32)

    @quick_jit  # one compilation for all
    def everything(x):
        y, pull = jax.vjp(lambda x: ops.pixel_shuffle(x, factors), x)
        back, push = jax.vjp(lambda y: ops.pixel_unshuffle(y, factors), y)
        return y, back, pull(y)[0], push(x)[0]

    y, back, pulled, pushed = everything(x)
    assert y.shape == (2, *(n * r for n, r in zip(space, factors, strict=True)), channels)
    np.testing.assert_array_equal(back, x)
    # Permutations: the transpose of each is its inverse.
    np.testing.assert_array_equal(pulled, x)
    np.testing.assert_array_equal(pushed, y)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_is_pytorchs(factor):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2 * factor**2)).astype(np.float32)
    wanted = torch.nn.PixelShuffle(factor)(torch.from_numpy(np.moveaxis(x, -1, 1).copy()))
    y = ops.pixel_shuffle(x, factor)
    np.testing.assert_array_equal(np.moveaxis(y, -1, 1), wanted)
    back = torch.nn.PixelUnshuffle(factor)(wanted)
    np.testing.assert_array_equal(np.moveaxis(ops.pixel_unshuffle(y, factor), -1, 1), back)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int32", "uint8", "bool"])
def test_dtypes_stay(dtype):
    x = jnp.ones((1, 2, 2, 4), dtype)
    assert ops.pixel_shuffle(x, 2).dtype == dtype
    assert ops.pixel_unshuffle(x, 2).dtype == dtype


@pytest.mark.parametrize("op", [ops.pixel_shuffle, ops.pixel_unshuffle])
def test_transformations(op):
    xs = jnp.asarray(np.random.default_rng(0).normal(size=(3, 1, 2, 4, 4)), jnp.float32)
    y = jnp.stack([op(x, 2) for x in xs])
    np.testing.assert_array_equal(jax.jit(lambda x: op(x, 2))(xs[0]), y[0])
    np.testing.assert_array_equal(jax.vmap(lambda x: op(x, 2))(xs), y)
    np.testing.assert_array_equal(jax.lax.scan(lambda c, x: (c, op(x, 2)), 0, xs)[1], y)
    gradient = jax.grad(lambda x: jnp.sum(jnp.sin(jax.checkpoint(lambda x: op(x, 2))(x))))
    np.testing.assert_allclose(jax.vmap(gradient)(xs), jnp.cos(xs), rtol=1e-6)
    second = jax.grad(lambda x: gradient(x).sum())(xs[0])
    np.testing.assert_allclose(second, -jnp.sin(xs[0]), rtol=1e-6)
    np.testing.assert_array_equal(jax.jvp(lambda x: op(x, 2), (xs[0],), (xs[1],))[1], y[1])
    assert jax.eval_shape(lambda x: op(x, 2), xs[0]).shape == y[0].shape


@pytest.mark.parametrize("op", [ops.pixel_shuffle, ops.pixel_unshuffle])
def test_no_batch_is_no_error(op):
    assert op(jnp.ones((0, 4, 4, 4)), 2).shape[0] == 0


@pytest.mark.parametrize(
    ("op", "shape", "factor", "message"),
    [
        (ops.pixel_shuffle, (1, 2, 2, 6), 2, r"6 channels .* factor=2: give a multiple of 4"),
        (ops.pixel_shuffle, (2, 4), 2, r"pixel_shuffle: x has shape \(2, 4\), .* x\[None\]"),
        (ops.pixel_shuffle, (1, 2, 2, 4), 0, r"factor=0 has an entry below 1: give integers"),
        (ops.pixel_shuffle, (1, 2, 2, 4), (2,), r"factor=\(2,\) does not fit 2 spatial axes"),
        (ops.pixel_unshuffle, (1, 3, 4, 4), 2, r"images of \(3, 4\) .* factor=2: give sizes"),
        (ops.pixel_unshuffle, (1, 0, 4, 4), 2, r"\(1, 0, 4, 4\) has an empty axis: only the"),
    ],
)
def test_what_does_not_fit(op, shape, factor, message):
    with pytest.raises(ValueError, match=message):
        op(jnp.ones(shape), factor)
