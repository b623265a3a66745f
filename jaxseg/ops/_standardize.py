"""Normalization by mean and variance, in few passes over the array in every derivative mode.

Let c = x - mean(x), v = mean(c^2), r = 1 / sqrt(v + epsilon) and s = r c. The Jacobian of s in x,

    J t = r (t - mean(t) - s mean(s t)),

is symmetric. So the tangents of y = scale s + bias, of the mean and of v are one linear primitive
whose transpose is the primitive itself:

    (t, a, b) -> (left J (right t) + s a + b, Σ s t, Σ t)

With left = scale and right = 1 it is the tangent, in which t, a and b are those of x, scale and
bias; with left = 1 and right = scale it is the transpose, in which t is the cotangent of y, and the
sums are the gradients of scale and bias. Either way it takes one pass for the sums and one for the
result. x and its statistics are kept for it, and s is computed anew.

Forward plus gradient of norm, ReLU and a sum, in ms of one core (busy; indicative):

                                  this      differentiated by JAX
    (8, 128, 128, 32)              15                        46
    (8, 64, 64, 64)                 7                        15
    (8, 32, 32, 128)                4                        10
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from jaxseg.ops._lowering import is_direct
from jaxseg.ops._memory import in_memory
from jaxseg.ops._varying import match_varying
from jaxseg.ops.sums import sums, write_sums

tangent_p = Primitive("jaxseg_standardize_tangent")
tangent_p.multiple_results = True

_CONSTANTS = 6  # operands in front of t, a and b: x, shift, rest, variance, left, right


def standardize(
    x: Float[Array, "*shape channels"],
    scale: Float[Array, " channels"],
    bias: Float[Array, " channels"],
    *,
    axes: Sequence[int],
    groups: int | None = None,
    epsilon: float = 1e-5,
) -> tuple[Array, Array, Array]:
    r"""Normalize by the mean and the variance over some axes, and over groups of channels.

    .. math:: y = \mathrm{scale} \, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \mathrm{bias}

    The mean is subtracted twice: a float32 mean of many values far from zero is off by more than
    their spread, and its error is the mean of what is left after subtracting it.

    Args:
        x: array, (*shape, channels), of at least 32 bits.
        scale: factor of each channel, (channels,), of the dtype of `x`.
        bias: shift of each channel, (channels,), of the dtype of `x`.
        axes: axes of the mean and the variance, not negative and without the last one.
        groups: number of groups of adjacent channels that share a mean and a variance; None means
            that each channel has its own.
        epsilon: number added to the variance.

    Returns:
        The normalized array, the mean and the variance. The latter two have the rank of `x`, a
        length of 1 in `axes`, and all channels, of which those of a group are equal.

    Raises:
        ValueError: `axes` holds an axis that `x` does not have or its last one, or `groups` does
            not divide the channels.

    Source:
        Ioffe & Szegedy, "Batch normalization", 2015, algorithm 1 (arXiv:1502.03167); Wu & He,
        "Group normalization", 2018, eqs. 1 to 7 (arXiv:1803.08494).

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x = jnp.array([[1.0], [3.0]])
        >>> y, mean, variance = ops.standardize(x, jnp.ones(1), jnp.zeros(1), axes=[0], epsilon=0)
        >>> y.ravel().tolist(), mean.item(), variance.item()
        ([-1.0, 1.0], 2.0, 1.0)
    """
    axes, channels = tuple(sorted(axes)), x.shape[-1]
    groups = channels if groups is None else groups
    if not all(0 <= axis < x.ndim - 1 for axis in axes):
        raise ValueError(
            f"standardize: axes={axes} of an array of shape {x.shape}: give axes from 0 to "
            f"{x.ndim - 2}; for a mean over channels use groups."
        )
    if groups < 1 or channels % groups:
        raise ValueError(
            f"standardize: {channels} channels do not divide into groups={groups}: choose a "
            "divisor."
        )
    row = (1,) * (x.ndim - 1) + (channels,)
    scale, bias = scale.reshape(row), bias.reshape(row)
    if is_direct(x, scale, bias):
        return _definition(x, scale, bias, axes, groups, epsilon)
    x, scale, bias = match_varying(x, scale, bias)
    return _normalize(x, scale, bias, axes, groups, epsilon)


def _definition(x, scale, bias, axes, groups, epsilon):
    """Normalize in plain JAX, which differentiates it."""
    shift = _first_mean(lax.stop_gradient(x), axes, groups)
    centered = x - shift
    rest = _mean_of_groups(jnp.mean(centered, axes, keepdims=True), groups)
    centered = centered - rest
    variance = _mean_of_groups(jnp.mean(jnp.square(centered), axes, keepdims=True), groups)
    return centered * (lax.rsqrt(variance + epsilon) * scale) + bias, shift + rest, variance


def _statistics(x, axes, groups) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Compute the mean, what is left of it after subtracting it, and the variance."""
    shift = _first_mean(lax.stop_gradient(x), axes, groups)
    centered = x - shift
    totals = sums([centered, centered * centered], axes)
    rest, square = (_mean_of_groups(a / _count(x, axes), groups) for a in totals)
    # The rest is a few units in the last place of the mean at most, so nothing is lost here.
    variance = square - rest * rest
    return shift, rest, jnp.where(variance < 0, 0 * variance, variance)


def _first_mean(x: jax.Array, axes: tuple[int, ...], groups: int) -> jax.Array:
    """Compute a mean axis by axis, which adds up few terms at a time."""
    for axis in reversed(axes):
        x = jnp.mean(x, axis, keepdims=True)
    return _mean_of_groups(x, groups)


def _count(x: Any, axes: Sequence[int]) -> int:
    return math.prod(x.shape[axis] for axis in axes)


def _mean_of_groups(a: jax.Array, groups: int) -> jax.Array:
    """Replace each entry of the last axis by the mean of its group."""
    if groups == a.shape[-1]:
        return a
    parts = a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups)
    return jnp.broadcast_to(jnp.mean(parts, -1, keepdims=True), parts.shape).reshape(a.shape)


# --- derivatives -------------------------------------------------------------------------------


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4, 5))
def _normalize(x, scale, bias, axes, groups, epsilon):
    """Normalize, and return the mean and the variance as well.

    JAX drops the rule below where it takes a loop apart, so this function is differentiable without
    it too, more slowly.
    """
    shift, rest, variance = _statistics(x, axes, groups)
    y = (x - shift - rest) * (lax.rsqrt(variance + epsilon) * scale) + bias
    return y, shift + rest, variance


@_normalize.defjvp
def _normalize_jvp(axes, groups, epsilon, primals, tangents):
    x, scale, _ = primals
    y, mean, variance = _normalize(*primals, axes, groups, epsilon)
    statistics = _statistics(lax.stop_gradient(x), axes, groups)  # the same once compiled
    dx, dscale, dbias = tangents
    dy, *totals = _tangent(
        *(x, *statistics, scale, jnp.ones_like(scale), dx, dscale, dbias),
        **{"axes": axes, "groups": groups, "epsilon": epsilon, "sum_axes": axes},
        center=True,
    )
    dstandard, dmean = (_mean_of_groups(a / _count(x, axes), groups) for a in totals)
    dvariance = 2 * dstandard * jnp.sqrt(variance + epsilon)
    return (y, mean, variance), (dy, dmean, dvariance)


def _tangent(*operands, **params) -> list[jax.Array]:
    return tangent_p.bind(*match_varying(*operands), **params)


def _formula(s, r, left, right, t, a, b, *, axes, groups, sum_axes, center, add_up):
    """Compute left J (right t) + s a + b, Σ s t and Σ t.

    Args:
        s: standardized array.
        r: its factor.
        left: factor of the result, which does not vary along `axes`.
        right: factor of t, likewise.
        t: array.
        a: coefficient of s.
        b: array to add.
        axes: axes of the mean and the variance.
        groups: number of groups of channels.
        sum_axes: axes of the two sums, among them `axes`.
        center: subtract the mean of t first, which does not change the result but for rounding.
        add_up: function of arrays and axes that returns their sums, with axes of length 1.
    """
    n, shift = _count(s, axes), None
    if center:
        shift = _mean_of_groups(add_up([t], axes)[0] / n, groups)
        t = t - shift
    totals = add_up([t, s * t], axes)
    mean, slope = (_mean_of_groups(right * a / n, groups) for a in totals)
    outer = left * r
    y = outer * right * t + s * (a - outer * slope) + (b - outer * mean)
    others = [axis for axis in sum_axes if axis not in axes]
    total, product = (jnp.sum(a, others, keepdims=True) if others else a for a in totals)
    return [y, product, total if shift is None else total + n * shift]


def _write(x, shift, rest, variance, *operands, epsilon, **params):
    """Write the primitive in plain `lax`."""
    r = lax.rsqrt(variance + epsilon)
    s = (x - shift - rest) * r
    return _formula(
        *(s, r, *operands), **params, add_up=lambda arrays, axes: write_sums(*arrays, axes=axes)
    )


def _write_for_cpu(x, shift, rest, variance, left, right, t, *others, **params):
    """Write the primitive in plain `lax`, with t and the first result in memory.

    XLA for CPU would fuse whatever computes t, such as a pool's gradient, into each pass over t,
    and compute it as often: behind norm and ReLU a pool takes 15 ms, not 49, and a resize 18, not
    140. Likewise the result, in front of the gradients of a depthwise convolution: a step of
    LR-ASPP takes 183 ms, not 217.
    """
    operands = (x, shift, rest, variance, left, right, in_memory(t), *others)
    y, *totals = _write(*operands, **params)
    return [in_memory(y), *totals]


def _abstract(x, *operands, sum_axes, **params):
    del operands, params
    shape = tuple(1 if axis in sum_axes else n for axis, n in enumerate(x.shape))
    x = x.update(weak_type=False)
    return [x, x.update(shape=shape), x.update(shape=shape)]


def _jvp(primals, tangents, *, axes, groups, epsilon, **others):
    params = {"axes": axes, "groups": groups, **others}
    out = _tangent(*primals, epsilon=epsilon, **params)
    linear = primals[_CONSTANTS:]
    parts = []
    if any(type(t) is not ad.Zero for t in tangents[_CONSTANTS:]):
        directions = map(ad.instantiate_zeros, tangents[_CONSTANTS:])
        parts.append(_tangent(*primals[:_CONSTANTS], *directions, epsilon=epsilon, **params))
    varying = [(primals[i], tangents[i]) for i in (0, 4, 5)]  # the statistics follow from x
    if any(type(t) is not ad.Zero for _, t in varying):

        def of_constants(x, left, right):
            one = jnp.ones_like(left)
            s, _, variance = _normalize(x, one, 0 * one, axes, groups, epsilon)
            r = lax.rsqrt(variance + epsilon)
            return _formula(s, r, left, right, *linear, **params, add_up=sums)

        points, directions = zip(*varying, strict=True)
        directions = tuple(map(ad.instantiate_zeros, directions))
        parts.append(jax.jvp(of_constants, points, directions)[1])
    if not parts:
        return out, [ad.Zero(jax.typeof(a).to_tangent_aval()) for a in out]
    return out, [functools.reduce(jnp.add, terms) for terms in zip(*parts, strict=True)]


def _transpose(cotangents, *operands, axes, groups, epsilon, sum_axes, center):
    del sum_axes
    linear = operands[_CONSTANTS:]
    needed = [ad.is_undefined_primal(a) for a in linear]
    coefficient = linear[1].aval if needed[1] else linear[1]
    results = _tangent(
        *(*operands[:4], operands[5], operands[4]),  # left and right change places
        *(ad.instantiate_zeros(a) for a in cotangents),
        **{"axes": axes, "groups": groups, "epsilon": epsilon},
        center=not center,
        sum_axes=tuple(i for i, n in enumerate(coefficient.shape) if n == 1),
    )
    return [None] * _CONSTANTS + [a if n else None for a, n in zip(results, needed, strict=True)]


def _batch(operands, dims, *, axes, sum_axes, **params):
    (count,) = {a.shape[d] for a, d in zip(operands, dims, strict=True) if d is not None}
    operands = [batching.bdim_at_front(a, d, count) for a, d in zip(operands, dims, strict=True)]
    axes, sum_axes = (tuple(axis + 1 for axis in group) for group in (axes, sum_axes))
    out = tangent_p.bind(*operands, axes=axes, sum_axes=sum_axes, **params)
    return out, [0] * len(out)


_compiled = jax.jit(_write, static_argnames=("axes", "groups", "epsilon", "sum_axes", "center"))

tangent_p.def_impl(_compiled)
tangent_p.def_abstract_eval(_abstract)
ad.primitive_jvps[tangent_p] = _jvp
ad.primitive_transposes[tangent_p] = _transpose
batching.primitive_batchers[tangent_p] = _batch
mlir.register_lowering(tangent_p, mlir.lower_fun(_write, multiple_results=True))
mlir.register_lowering(
    tangent_p, mlir.lower_fun(_write_for_cpu, multiple_results=True), platform="cpu"
)
