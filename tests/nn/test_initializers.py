"""Initializers make the kernels that they are named after."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit

from jaxseg import ops
from jaxseg.nn import initializers

KEY = jax.random.key(0)


def images(*shape):
    return jax.random.normal(jax.random.key(1), shape)


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_he_normal_has_the_gain_over_fan_in(gain):
    kernel = np.asarray(initializers.he_normal(gain)(KEY, (3, 3, 32, 64)))
    # 18432 draws: the variance is known to sqrt(2 / 18432) = 1 %.
    assert kernel.var() == pytest.approx(gain / (9 * 32), rel=0.04)
    assert abs(kernel.mean()) < 4 * kernel.std() / np.sqrt(kernel.size)


@pytest.mark.parametrize(
    ("window", "center"),
    [((3,), (1,)), ((3, 3), (1, 1)), ((3, 5), (1, 2)), ((2, 2), (0, 0)), ((4, 4), (1, 1))],
)
def test_delta_orthogonal_is_orthogonal_at_the_center_alone(window, center):
    kernel = np.array(initializers.delta_orthogonal(2.25)(KEY, (*window, 4, 6)))
    values = np.linalg.svd(kernel[center], compute_uv=False)
    np.testing.assert_allclose(values, 1.5, rtol=1e-5)
    kernel[center] = 0
    assert not kernel.any()


@pytest.mark.parametrize("window", [2, 3, 4])
def test_delta_orthogonal_leaves_each_pixel_at_its_place(window):
    kernel = initializers.delta_orthogonal()(KEY, (window, window, 3, 3))
    x = jnp.zeros((1, 5, 5, 3)).at[0, 2, 1].set(1)
    norms = np.linalg.norm(ops.conv(x, kernel)[0], axis=-1)
    np.testing.assert_allclose(norms, np.linalg.norm(x[0], axis=-1), atol=1e-6)


def test_delta_orthogonal_is_uniform_over_rotations_and_reflections():
    draw = jax.jit(jax.vmap(lambda key: initializers.delta_orthogonal()(key, (1, 3, 3))[0]))
    matrices = np.asarray(draw(jax.random.split(KEY, 20_000)), np.float64)
    square = matrices @ matrices
    # Moments of Haar's measure on O(3): E q = 0, E q^2 = 1/3, E det = 0, E tr(q)^2 = E tr(q^2) = 1.
    # Four standard errors: .016 for a q, .0085 for a q^2, .028 for det, .057 for the traces.
    assert np.abs(matrices.mean(0)).max() < 0.02
    assert np.abs((matrices**2).mean(0) - 1 / 3).max() < 0.01
    assert abs(np.linalg.det(matrices).mean()) < 0.03
    assert np.trace(square, axis1=1, axis2=2).mean() == pytest.approx(1, abs=0.06)
    assert (np.trace(matrices, axis1=1, axis2=2) ** 2).mean() == pytest.approx(1, abs=0.06)


def test_delta_orthogonal_asks_nothing_of_lapack():
    """Two devices that factor batches at once wait for each other forever on jaxlib 0.10."""
    draw = jax.vmap(lambda key: initializers.delta_orthogonal()(key, (3, 3, 4, 6)))
    text = jax.jit(draw).lower(jax.random.split(KEY, 4)).as_text()
    assert "custom_call" not in text
    assert "lapack" not in text


def test_zeros_and_scaled():
    assert not np.any(initializers.zeros()(KEY, (3, 3, 2, 4), jnp.float32))
    he = initializers.he_normal()
    half = initializers.scaled(he, 0.5)(KEY, (3, 3, 2, 4))
    np.testing.assert_allclose(half, 0.5 * he(KEY, (3, 3, 2, 4)), rtol=1e-6)


@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("depthwise", [False, True])
def test_bilinear_upsamples_constants_and_ramps(stride, depthwise):
    k, n, channels = 2 * stride - stride % 2, 6, 3
    kernel = initializers.bilinear()(KEY, (k, k, 1 if depthwise else channels, channels))
    for row in range(stride):
        for column in range(stride):
            phase = np.asarray(kernel)[row::stride, column::stride].sum((0, 1, 2))
            np.testing.assert_allclose(phase, 1, rtol=1e-6)
    rows, columns = jnp.meshgrid(jnp.arange(6.0), jnp.arange(6.0), indexing="ij")
    x = jnp.stack([jnp.full((n, n), 2.5), rows, 3 - 2 * columns], -1)[None]
    groups = channels if depthwise else 1
    y = quick_jit(lambda x: ops.upconv(x, kernel, stride=stride, groups=groups))(x)[0]
    # Pixel p of the output lies at (p + 1/2) / s - 1/2 of the input.
    at = (np.arange(n * stride) + 0.5) / stride - 0.5
    inner = slice(stride, -stride)
    np.testing.assert_allclose(y[inner, inner, 0], 2.5, rtol=1e-5)
    grid = np.meshgrid(at, at, indexing="ij")
    np.testing.assert_allclose(y[inner, inner, 1], grid[0][inner, inner], atol=1e-5)
    np.testing.assert_allclose(y[inner, inner, 2], 3 - 2 * grid[1][inner, inner], atol=1e-5)


@pytest.mark.parametrize("stride", [2, 3])
def test_icnr_starts_as_nearest_upsampling(stride):
    init = initializers.icnr(stride, initializers.he_normal())
    kernel = init(KEY, (3, 3, 2, 5 * stride**2))
    x = images(2, 4, 3, 2)
    y = quick_jit(ops.conv)(x, kernel)
    # PyTorch's pixel shuffle: channel c * s**2 + i * s + j goes to pixel (i, j) of its cell.
    cells = np.asarray(y).reshape(2, 4, 3, 5, stride, stride)
    shuffled = cells.transpose(0, 1, 4, 2, 5, 3).reshape(2, 4 * stride, 3 * stride, 5)
    base = initializers.he_normal()(KEY, (3, 3, 2, 5), jnp.float32)
    nearest = np.asarray(quick_jit(ops.conv)(x, base)).repeat(stride, 1).repeat(stride, 2)
    np.testing.assert_allclose(shuffled, nearest, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("init", "shape", "message"),
    [
        (initializers.delta_orthogonal(), (3, 3, 6, 4), r"\(3, 3, 6, 4\).*give out >= in"),
        (initializers.bilinear(), (4, 4, 2, 3), r"\(4, 4, 2, 3\) would mix channels: give in == o"),
        (initializers.icnr(2, initializers.zeros()), (3, 3, 2, 6), "6 features do not divide .* 4"),
    ],
)
def test_initializers_refuse(init, shape, message):
    with pytest.raises(ValueError, match=message):
        init(KEY, shape)
