"""Initializers, `(key, shape, dtype) -> array`, of kernels `(*window, in / groups, out)`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

Initializer = Callable[..., jax.Array]
"""Draws a kernel: `(key, shape, dtype=float32) -> array`."""


def he_normal(gain: float = 2.0) -> Initializer:
    """Make kernels of normal entries with variance `gain` / fan-in, where fan-in = taps x in.

    Args:
        gain: 2 keeps the variance of a ReLU net from layer to layer, 1 that of a linear one.

    Source:
        He et al., "Delving deep into rectifiers", 2015, eq. 10 (arXiv:1502.01852).

    Example:
        >>> import jax
        >>> from jaxseg.nn import initializers
        >>> kernel = initializers.he_normal()(jax.random.key(0), (3, 3, 32, 64))
        >>> print(f"{kernel.var() * 3 * 3 * 32:.1f}")
        2.0
    """
    return initializers.variance_scaling(gain, "fan_in", "normal")


def delta_orthogonal(gain: float = 1.0) -> Initializer:
    """Make kernels with an orthogonal matrix at the window's center and zeros elsewhere.

    The matrix is multiplied by the root of `gain`, which every singular value of the layer then is
    ("dynamical isometry"). The center of an even window is the tap in front of its middle, the
    one that "same" padding puts on the output's own pixel. Kernels need out >= in, and one group.

    Args:
        gain: square of the singular values.

    Raises:
        ValueError: a kernel with fewer features than channels, when it is drawn.

    Source:
        Xiao et al., "Dynamical isometry and a mean field theory of CNNs", 2018, algorithm 1
        (arXiv:1806.05393).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg import nn, ops
        >>> kernel = nn.initializers.delta_orthogonal()(jax.random.key(0), (3, 3, 4, 4))
        >>> x = jnp.ones((1, 5, 5, 4))
        >>> print(f"{jnp.linalg.norm(ops.conv(x, kernel)) / jnp.linalg.norm(x):.4f}")
        1.0000
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        *window, inputs, features = shape
        if features < inputs:
            raise ValueError(
                f"delta_orthogonal: a kernel {tuple(shape)} has fewer features than channels: "
                "give out >= in."
            )
        matrix = math.sqrt(gain) * _orthonormal_rows(key, inputs, features)
        center = tuple((k - 1) // 2 for k in window)
        return jnp.zeros(shape, dtype).at[center].set(matrix.astype(dtype))

    return init


def _orthonormal_rows(key: jax.Array, rows: int, columns: int) -> jax.Array:
    """Draw the first rows of a rotation or reflection, uniformly over all of them.

    It is a product of Householder reflections (Stewart 1980; Mezzadri 2007,
    arXiv:math-ph/0609050). LAPACK's QR is not used: jaxlib splits a batch of those over the thread
    pool that it runs in and waits, and two devices that do so at once wait forever.
    """
    dtype = jnp.promote_types(jnp.float32, jax.dtypes.canonicalize_dtype(float))
    normal = jax.random.normal(key, (rows, columns), dtype)
    column = jnp.arange(columns)

    def reflect(matrix, step):  # (rows, columns)
        row, vector = step
        vector = jnp.where(column >= row, vector, 0)
        sign = jnp.where(vector[row] < 0, -1, 1).astype(dtype)
        mirror = vector + jnp.where(column == row, sign * jnp.linalg.norm(vector), 0)
        overlap = matrix @ mirror * (2 / (mirror @ mirror))
        return matrix - jnp.outer(overlap, mirror), -sign

    # Inside `shard_map` the carry has to vary over devices from the start, as the draws do.
    start = jnp.eye(rows, columns, dtype=dtype) + 0 * normal
    matrix, signs = jax.lax.scan(reflect, start, (jnp.arange(rows), normal), reverse=True)
    return signs[:, None] * matrix


def zeros() -> Initializer:
    """Make kernels of zeros; as the last of a residual branch, they start it as the identity."""
    return initializers.zeros


def scaled(init: Initializer, factor: float) -> Initializer:
    """Multiply the kernels of another initializer by a constant.

    Args:
        init: the other initializer.
        factor: the constant; L^−½ gives the first kernels of Fixup (Zhang et al. 2019,
            arXiv:1901.09321).
    """

    def scaled_init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        return init(key, shape, dtype) * jnp.asarray(factor, dtype)

    return scaled_init


def bilinear() -> Initializer:
    """Make kernels with which an upconvolution interpolates bilinearly.

    A window of k = 2s - (s mod 2) taps upsamples by the stride s; each of its s phases sums to
    one. Channels stay apart: in must equal out, or be 1 (a depthwise kernel).

    Raises:
        ValueError: a kernel that would mix channels, when it is drawn.

    Source:
        Long et al., "Fully convolutional networks for semantic segmentation", 2015, section 3.3
        (arXiv:1411.4038).

    Example:
        >>> import jax
        >>> from jaxseg.nn import initializers
        >>> initializers.bilinear()(jax.random.key(0), (4, 1, 1)).ravel().tolist()
        [0.25, 0.75, 0.75, 0.25]
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
            center = factor - 1 if k % 2 else factor - 0.5
            tent = 1 - jnp.abs(jnp.arange(k, dtype=dtype) - center) / factor
            taps = jnp.multiply.outer(taps, tent)
        channels = jnp.eye(features, dtype=dtype) if inputs > 1 else jnp.ones((1, features), dtype)
        return jnp.einsum("t,io->tio", taps.ravel(), channels).reshape(shape)

    return init


def icnr(stride: int, init: Initializer) -> Initializer:
    """Make kernels with which a sub-pixel upconvolution starts as nearest-neighbor upsampling.

    The stride ^ axes features that `ops.pixel_shuffle` spreads over one output cell start equal;
    they are adjacent.

    Args:
        stride: factor of upsampling.
        init: initializer of the distinct features.

    Raises:
        ValueError: the features do not divide into cells, when a kernel is drawn.

    Source:
        Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017 (arXiv:1707.02937).
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
