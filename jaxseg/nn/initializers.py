"""Initial kernels, `(key, shape, dtype) -> array`, for kernels `(*window, in, out)`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

Initializer = Callable[..., jax.Array]


def he_normal(gain: float = 2.0) -> Initializer:
    """Normal with variance `gain` / fan-in, fan-in = taps x in (He et al. 2015, eq. 10).

    `gain=2` keeps the variance of a ReLU net, `gain=1` that of a linear one. (arXiv:1502.01852)
    """
    return initializers.variance_scaling(gain, "fan_in", "normal")


def delta_orthogonal(gain: float = 1.0) -> Initializer:
    """An orthogonal matrix at the window's centre, zeros elsewhere, times the root of `gain`.

    Every singular value of the layer is then the root of `gain`: dynamical isometry (Xiao et al.
    2018, algorithm 1, arXiv:1806.05393). Needs out >= in.
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        *window, inputs, features = shape
        if features < inputs:
            raise ValueError(
                f"delta_orthogonal: a kernel {tuple(shape)} has fewer features than channels: "
                "give out >= in."
            )
        matrix = math.sqrt(gain) * _orthonormal_rows(key, inputs, features)
        centre = tuple((k - 1) // 2 for k in window)
        return jnp.zeros(shape, dtype).at[centre].set(matrix.astype(dtype))

    return init


def _orthonormal_rows(key: jax.Array, rows: int, columns: int) -> jax.Array:
    """The first rows of a random rotation or reflection, uniform over all of them.

    A product of Householder reflections (Stewart 1980; Mezzadri 2007, arXiv:math-ph/0609050),
    not LAPACK's QR: jaxlib splits a batch of those over the thread pool that it runs in and waits,
    and two devices that do so at once wait forever.
    """
    dtype = jnp.promote_types(jnp.float32, jax.dtypes.canonicalize_dtype(float))
    normal = jax.random.normal(key, (rows, columns), dtype)
    along = jnp.arange(columns)

    def reflect(matrix, step):  # (rows, columns)
        row, vector = step
        vector = jnp.where(along >= row, vector, 0)
        sign = jnp.where(vector[row] < 0, -1, 1).astype(dtype)
        mirror = vector + jnp.where(along == row, sign * jnp.linalg.norm(vector), 0)
        overlap = matrix @ mirror * (2 / (mirror @ mirror))
        return matrix - jnp.outer(overlap, mirror), -sign

    # Inside `shard_map` the carry has to vary over devices from the start, as the draws do.
    start = jnp.eye(rows, columns, dtype=dtype) + 0 * normal
    matrix, signs = jax.lax.scan(reflect, start, (jnp.arange(rows), normal), reverse=True)
    return signs[:, None] * matrix


def zeros() -> Initializer:
    """All zeros: as the last kernel of a residual branch, the block starts as the identity."""
    return initializers.zeros


def scaled(init: Initializer, factor: float) -> Initializer:
    """`init` times `factor`; with L**-0.5 the first kernels of Fixup (Zhang et al. 2019)."""

    def scaled_init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        return init(key, shape, dtype) * jnp.asarray(factor, dtype)

    return scaled_init


def bilinear() -> Initializer:
    """Bilinear interpolation as an upconvolution's kernel (Long et al. 2015, FCN).

    A window of k = 2s - (s mod 2) taps upsamples by the stride s; each of its s phases sums to
    one. Channels stay apart: in must equal out, or be 1 (a depthwise kernel).
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        del key
        *window, inputs, features = shape
        if inputs not in (1, features):
            raise ValueError(
                f"bilinear: a kernel {tuple(shape)} would mix channels: give in == out, or in == 1 "
                "with groups == out."
            )
        taps = jnp.ones((), dtype)
        for k in window:
            factor = (k + 1) // 2
            centre = factor - 1 if k % 2 else factor - 0.5
            tent = 1 - jnp.abs(jnp.arange(k, dtype=dtype) - centre) / factor
            taps = jnp.multiply.outer(taps, tent)
        channels = jnp.eye(features, dtype=dtype) if inputs > 1 else jnp.ones((1, features), dtype)
        return jnp.einsum("t,io->tio", taps.ravel(), channels).reshape(shape)

    return init


def icnr(stride: int, init: Initializer) -> Initializer:
    """Kernels of a sub-pixel upconvolution that start as nearest-neighbour upsampling.

    The stride**axes features that pixel shuffle spreads over one output cell start equal (Aitken
    et al. 2017, arXiv:1707.02937); they are adjacent, in PyTorch's order of pixel shuffle.
    """

    def init_equal(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        cells = stride ** (len(shape) - 2)
        if shape[-1] % cells:
            raise ValueError(
                f"icnr: {shape[-1]} features do not divide into cells of {cells} "
                f"(stride {stride}, {len(shape) - 2} axes)."
            )
        base = init(key, (*shape[:-1], shape[-1] // cells), dtype)
        return jnp.repeat(base, cells, axis=-1)

    return init_equal
