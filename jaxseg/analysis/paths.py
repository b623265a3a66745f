r"""A residual stack as a sum over paths, and the gradient that comes through those of each length.

The Jacobian of L blocks x -> x + f_l(x) is :math:`\prod_l (1 + F_l)`: multiplied out, a sum over
2**L paths, each of which goes through some of the branches and around the others (Veit, Wilber &
Belongie 2016, arXiv:1605.06431). With a marker t at every branch, :math:`\prod_l (1 + t F_l)` has
the sum over all paths of length k as its coefficient of t**k.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Branch = Callable[[Any, jax.Array], jax.Array]
"""`branch(layer, x)`, f_l(x): the branch of one block, whose parameters are `layer`."""
_NOTHING = -(2**20)
"""The exponent of an array of zeros."""


class PathGradients(NamedTuple):
    """The gradient of a loss in a stack's input, by the length of the paths it came through.

    The part of length k is `ldexp(values[k], exponents[k])`: parts that float32 cannot hold have
    exponents that it need not.

    Attributes:
        values: (lengths, *x.shape), the largest entry of each at least 1/2 and below 1, or 0.
        exponents: of two.
    """

    values: Float[Array, "lengths ..."]
    exponents: Int[Array, "lengths"]

    def log_norms(self) -> Float[Array, "lengths"]:
        """Natural logarithm of each part's Euclidean norm; -inf where there is none, NaN of NaN."""
        axes = tuple(range(1, self.values.ndim))
        squares = jnp.sum(self.values**2, axes)
        there = squares != 0  # so that NaN stays NaN
        logs = 0.5 * jnp.log(jnp.where(there, squares, jnp.ones_like(squares)))
        logs = logs + self.exponents.astype(logs.dtype) * math.log(2)
        return jnp.where(there, logs, jnp.full_like(logs, -jnp.inf))

    def total(self) -> Float[Array, "..."]:
        """The whole gradient, the sum of all parts."""
        return jnp.sum(jnp.ldexp(self.values, _like_leading(self.exponents, self.values)), 0)


def path_gradients(
    branch: Branch,
    layers: Any,
    x: jax.Array,
    loss: Callable[[jax.Array], jax.Array],
    *,
    longest: int | None = None,
    batch_size: int | None = None,
) -> PathGradients:
    """The gradient through all paths of each length, exactly: no path is sampled.

    The backward pass carries one cotangent a length through the stack; a block adds to that of
    length k what its branch makes of that of length k - 1: `longest` x L products with a branch's
    Jacobian in place of 2**L paths.

    Args:
        branch: f_l of `layer` and x; keeps the shape of x.
        layers: the stacked parameters, a pytree whose leaves have a leading axis of L layers.
        x: the stack's input.
        loss: of the stack's output, a scalar.
        longest: the greatest length that is asked for; None: L.
        batch_size: lengths at once; None: all.

    Returns:
        the parts of dloss/dx, from length 0 on; all L + 1 of them sum to the whole.

    Raises:
        ValueError: `longest` or `batch_size` out of range; layers without a common leading axis.
    """
    depth = _depth(layers)
    longest = depth if longest is None else longest
    if not 0 <= longest <= depth:
        raise ValueError(f"longest={longest} must be 0 to {depth}, the number of layers.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1, or None for all at once.")
    inputs, cotangent = _forward(branch, layers, x, loss)
    # Zeros that vary over devices where the cotangent does: inside `shard_map` a carry must.
    rest = jnp.broadcast_to(0 * cotangent, (longest, *cotangent.shape))
    start = _normalised(jnp.concatenate([cotangent[None], rest]), jnp.zeros(longest + 1, jnp.int32))

    def backward(parts: PathGradients, layer):
        back = _pullback(branch, *layer)
        through = jax.lax.map(back, parts.values[:-1], batch_size=batch_size or max(1, longest))
        longer = PathGradients(
            jnp.concatenate([0 * parts.values[:1], through]),
            jnp.concatenate([jnp.full((1,), _NOTHING, jnp.int32), parts.exponents[:-1]]),
        )
        return _sum(parts, longer), None

    return jax.lax.scan(backward, start, (layers, inputs), reverse=True)[0]


def sampled_path_norms(
    branch: Branch,
    layers: Any,
    x: jax.Array,
    loss: Callable[[jax.Array], jax.Array],
    lengths: Int[Array, "n"],
    *,
    key: jax.Array,
    samples: int,
    batch_size: int | None = None,
) -> Float[Array, "n samples"]:
    """Log norm of the gradient through single paths drawn at random, as Veit et al. 2016 do.

    A path of length k goes backward through the branches of k blocks, drawn without replacement,
    and around all others. Its mean norm times the number of paths, `log_path_counts`, is what the
    paths of a length would bring if their gradients all pointed the same way: an upper bound of
    `path_gradients`, whose parts are the norm of the sum.

    Args:
        branch: as for `path_gradients`, like `layers`, `x` and `loss`.
        layers: see `branch`.
        x: see `branch`.
        loss: see `branch`.
        lengths: k of each group of paths, 0 to L.
        key: JAX PRNG key.
        samples: paths of each length.
        batch_size: paths at once; None: all.

    Returns:
        natural logarithms; -inf where no gradient comes through.

    Raises:
        ValueError: `samples` or `batch_size` below 1; layers without a common leading axis.
    """
    depth = _depth(layers)
    if samples < 1 or (batch_size is not None and batch_size < 1):
        raise ValueError(f"samples={samples} and batch_size={batch_size} must be at least 1.")
    inputs, cotangent = _forward(branch, layers, x, loss)
    start = _normalised(cotangent[None], jnp.zeros(1, jnp.int32))

    def one(drawn):
        key, length = drawn
        through = jax.random.permutation(key, depth) < length

        def backward(part: PathGradients, layer):
            *layer, taken = layer
            back = _pullback(branch, *layer)(part.values[0])
            values = jnp.where(taken, back, part.values[0])
            return _normalised(values[None], part.exponents), None

        part = jax.lax.scan(backward, start, (layers, inputs, through), reverse=True)[0]
        return part.log_norms()[0]

    count = len(lengths) * samples
    drawn = jax.random.split(key, count), jnp.repeat(jnp.asarray(lengths), samples)
    found = jax.lax.map(one, drawn, batch_size=batch_size or count)
    return found.reshape(len(lengths), samples)


def log_path_counts(depth: int) -> Float[np.ndarray, "lengths"]:
    """Natural logarithm of the number of paths of each length 0 to L, log C(L, k), float64."""
    return np.array([math.log(math.comb(depth, k)) for k in range(depth + 1)])


def path_share(depth: int, shortest: int, longest: int) -> float:
    """Share of the 2**L paths whose length is within a range, its ends included.

    That is P(shortest <= Bin(L, 1/2) <= longest); .45 % for 5 to 17 of 54.
    """
    lengths = range(max(0, shortest), min(depth, longest) + 1)
    return sum(math.comb(depth, k) for k in lengths) / 2**depth


def independent_path_shares(gains: Float[np.ndarray, "depth"]) -> Float[np.ndarray, "lengths"]:
    r"""Share of each length in the squared gradient, were all branches' Jacobians independent.

    Where :math:`E|F_l^T v|^2 = a_l |v|^2` and the parts of different paths are uncorrelated, as in
    a wide net at initialisation, the squares by length are the coefficients of
    :math:`\prod_l (1 + a_l t)`: the law of a sum of L coins of heads' probability a / (1 + a).
    Branches that keep a gradient's size, a = 1, give the binomial Bin(L, 1/2) by which Veit et al.
    2016 count paths; branches scaled by 1/sqrt(L), a = 1 / L, about a Poisson law of mean 1.

    Args:
        gains: a_l of each block, not negative.

    Returns:
        from length 0 to L, summing to 1; float64.
    """
    gains = np.asarray(gains, np.float64)
    if gains.ndim != 1 or np.any(gains < 0) or not np.all(np.isfinite(gains)):
        raise ValueError(f"gains={gains} must be a vector of finite numbers, none negative.")
    shares = np.ones(1)
    for heads in gains / (1 + gains):
        shares = np.append(shares * (1 - heads), 0) + np.append(0, shares * heads)
    return shares


def _depth(layers: Any) -> int:
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(layers)]
    leading = {shape[:1] for shape in shapes}
    if len(leading) != 1 or leading == {()}:
        raise ValueError(
            f"The leaves of layers must share a leading axis, one entry a block, but have the "
            f"shapes {shapes}: stack the blocks' parameters."
        )
    return shapes[0][0]


def _forward(branch: Branch, layers, x, loss) -> tuple[jax.Array, jax.Array]:
    """Every block's input, and dloss/d of the stack's output."""

    def block(x, layer):
        return x + branch(layer, x), x

    out, inputs = jax.lax.scan(block, x, layers)
    return inputs, jax.grad(loss)(out)


def _pullback(branch: Branch, layer, x) -> Callable[[jax.Array], jax.Array]:
    """The map from v to F_l^T v."""
    back = jax.vjp(lambda x: branch(layer, x), x)[1]
    return lambda v: back(v)[0]


def _like_leading(a: jax.Array, values: jax.Array) -> jax.Array:
    return a.reshape(-1, *[1] * (values.ndim - 1))


def _normalised(values: jax.Array, exponents: jax.Array) -> PathGradients:
    """The same parts, with powers of two moved from the values to the exponents: no rounding."""
    largest = jnp.max(jnp.abs(values), tuple(range(1, values.ndim)))
    power = jnp.frexp(largest)[1].astype(jnp.int32)
    there = largest > 0
    moved = jnp.ldexp(values, _like_leading(-power, values))
    return PathGradients(moved, jnp.where(there, exponents + power, _NOTHING))


def _sum(a: PathGradients, b: PathGradients) -> PathGradients:
    """Part by part; what is too small beside the other to matter becomes 0."""
    common = jnp.maximum(a.exponents, b.exponents)
    floor = jnp.int32(-200)
    values = [
        jnp.ldexp(p.values, _like_leading(jnp.maximum(p.exponents - common, floor), p.values))
        for p in (a, b)
    ]
    return _normalised(values[0] + values[1], common)
