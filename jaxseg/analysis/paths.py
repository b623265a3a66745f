r"""A residual stack as a sum over paths, and the gradient through the paths of each length.

The Jacobian of L blocks x -> x + f_l(x) is :math:`\prod_l (1 + F_l)`. Multiplied out, it is a sum
over 2^L paths, each of which goes through some of the branches and around the others (Veit,
Wilber & Belongie 2016, arXiv:1605.06431). With a marker t at every branch, the coefficient of tᵏ
in :math:`\prod_l (1 + t F_l)` is the sum over all paths of length k.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Branch = Callable[[Any, jax.Array], jax.Array]
"""`branch(layer, x)`, which is f_l(x): the branch of the block whose parameters are `layer`."""
_ZERO_EXPONENT = -(2**20)
"""Exponent of an array of zeros."""


class PathGradients(NamedTuple):
    """The gradient of a loss at a stack's input, by the length of the paths that it came through.

    The part of length k is `ldexp(values[k], exponents[k])`, so that parts need not fit into
    float32.

    Attributes:
        values: (lengths, *x.shape) parts without their powers of two. The largest entry of each is
            from 1/2 up to 1, or all are 0.
        exponents: Power of two of each part.
    """

    values: Float[Array, "lengths ..."]
    exponents: Int[Array, "lengths"]

    def log_norms(self) -> Float[Array, "lengths"]:
        """Natural logarithm of each part's Euclidean norm; -inf for zeros, NaN for NaN."""
        axes = tuple(range(1, self.values.ndim))
        squares = jnp.sum(self.values**2, axes)
        nonzero = squares != 0  # which NaN is
        logs = 0.5 * jnp.log(jnp.where(nonzero, squares, jnp.ones_like(squares)))
        logs = logs + self.exponents.astype(logs.dtype) * math.log(2)
        return jnp.where(nonzero, logs, jnp.full_like(logs, -jnp.inf))

    def total(self) -> Float[Array, "..."]:
        """The whole gradient, the sum of all parts."""
        return jnp.sum(jnp.ldexp(self.values, _align_leading(self.exponents, self.values)), 0)


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

    The backward pass carries one cotangent for each length through the stack. A block adds to that
    of length k what its branch makes of that of length k - 1. This takes `longest` x L products
    with a branch's Jacobian in place of 2^L paths.

    Args:
        branch: `branch(layer, x)`, the branch f_l, which keeps the shape of x.
        layers: Stacked parameters, a pytree whose leaves have a leading axis of L layers.
        x: Input of the stack.
        loss: `loss(output)` of the stack's output, a scalar.
        longest: Greatest length that is asked for; None for L.
        batch_size: Number of lengths at a time; None for all.

    Returns:
        A `PathGradients`, the parts of dloss/dx from length 0 on. All L + 1 parts sum to dloss/dx.

    Raises:
        ValueError: `longest` or `batch_size` is out of range; `layers` have no common leading axis.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import path_gradients
        >>> branch = lambda a, x: a * x  # (1 + a)**3 = 1 + 3 a + 3 a**2 + a**3
        >>> parts = path_gradients(branch, jnp.full(3, 0.5), jnp.ones(1), jnp.sum)
        >>> [round(float(n), 3) for n in jnp.exp(parts.log_norms())], parts.total().item()
        ([1.0, 1.5, 0.75, 0.125], 3.375)

    Source:
        Veit, Wilber & Belongie 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow
        Networks", arXiv:1605.06431, whose paths these are. The exact sum is ours.
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
    start = _normalized(jnp.concatenate([cotangent[None], rest]), jnp.zeros(longest + 1, jnp.int32))

    def backward(parts: PathGradients, block):
        pull = _pullback(branch, *block)
        pulled = jax.lax.map(pull, parts.values[:-1], batch_size=batch_size or max(1, longest))
        longer = PathGradients(
            jnp.concatenate([0 * parts.values[:1], pulled]),
            jnp.concatenate([jnp.full((1,), _ZERO_EXPONENT, jnp.int32), parts.exponents[:-1]]),
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
    """The log norm of the gradient through single paths, drawn at random.

    A path of length k goes backward through the branches of k blocks, drawn without replacement,
    and around all others. Its mean norm times the number of paths (`log_path_counts`) is what the
    paths of a length would give if all their gradients pointed the same way. That is an upper bound
    of `path_gradients`, whose parts are the norm of the sum.

    Args:
        branch: `branch(layer, x)`, the branch f_l, which keeps the shape of x.
        layers: Stacked parameters, a pytree whose leaves have a leading axis of L layers.
        x: Input of the stack.
        loss: `loss(output)` of the stack's output, a scalar.
        lengths: Length k, from 0 to L, of each group of paths.
        key: PRNG key that draws the paths.
        samples: Number of paths of each length.
        batch_size: Number of paths at a time; None for all.

    Returns:
        Natural logarithms; minus infinity where no gradient arrives.

    Raises:
        ValueError: `samples` or `batch_size` is below 1; `layers` have no common leading axis.

    Source:
        Veit, Wilber & Belongie 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow
        Networks", arXiv:1605.06431.
    """
    depth = _depth(layers)
    if samples < 1 or (batch_size is not None and batch_size < 1):
        raise ValueError(f"samples={samples} and batch_size={batch_size} must be at least 1.")
    inputs, cotangent = _forward(branch, layers, x, loss)
    start = _normalized(cotangent[None], jnp.zeros(1, jnp.int32))

    def log_norm(path):
        key, length = path
        through_branch = jax.random.permutation(key, depth) < length

        def backward(part: PathGradients, block):
            layer, x, taken = block
            pulled = _pullback(branch, layer, x)(part.values[0])
            values = jnp.where(taken, pulled, part.values[0])
            return _normalized(values[None], part.exponents), None

        part = jax.lax.scan(backward, start, (layers, inputs, through_branch), reverse=True)[0]
        return part.log_norms()[0]

    count = len(lengths) * samples
    paths = jax.random.split(key, count), jnp.repeat(jnp.asarray(lengths), samples)
    log_norms = jax.lax.map(log_norm, paths, batch_size=batch_size or count)
    return log_norms.reshape(len(lengths), samples)


def log_path_counts(depth: int) -> Float[np.ndarray, "lengths"]:
    """Natural logarithm of the number of paths of each length, log C(L, k).

    Args:
        depth: L, the number of blocks.

    Returns:
        (L + 1,) logarithms, from length 0 on, float64.
    """
    return np.array([math.log(math.comb(depth, k)) for k in range(depth + 1)])


def path_share(depth: int, shortest: int, longest: int) -> float:
    """The share of the 2^L paths whose length lies in a range: P(a <= Bin(L, 1/2) <= b).

    Args:
        depth: L, the number of blocks.
        shortest: a, the least length.
        longest: b, the greatest length.

    Example:
        >>> from jaxseg.analysis import path_share
        >>> round(100 * path_share(54, 5, 17), 2)  # per cent
        0.45
    """
    lengths = range(max(0, shortest), min(depth, longest) + 1)
    return sum(math.comb(depth, k) for k in lengths) / 2**depth


def independent_path_shares(gains: Float[np.ndarray, "depth"]) -> Float[np.ndarray, "lengths"]:
    r"""Share of each path length in the squared gradient, if branches' Jacobians are independent.

    Let :math:`E|F_l^T v|^2 = a_l |v|^2`, and let the parts of different paths be uncorrelated, as
    in a wide net at initialization. Then the squares by length are the coefficients of
    :math:`\prod_l (1 + a_l t)`, the law of a sum of L coins with the probability a / (1 + a) of
    heads. Branches that keep the size of a gradient, a = 1, give the binomial Bin(L, 1/2), by which
    Veit et al. 2016 count paths. Branches scaled by 1/√L, a = 1 / L, give about a Poisson law
    of mean 1.

    Args:
        gains: a_l of each block, not negative.

    Returns:
        (L + 1,) shares from length 0 on, which sum to 1, float64.

    Raises:
        ValueError: `gains` is not a vector of finite numbers, or one is negative.

    Example:
        >>> import numpy as np
        >>> from jaxseg.analysis import independent_path_shares
        >>> independent_path_shares(np.ones(3))  # 1, 3, 3, 1
        array([0.125, 0.375, 0.375, 0.125])
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
    """The input of every block, and the loss's gradient at the stack's output."""

    def block(x, layer):
        return x + branch(layer, x), x

    out, inputs = jax.lax.scan(block, x, layers)
    return inputs, jax.grad(loss)(out)


def _pullback(branch: Branch, layer, x) -> Callable[[jax.Array], jax.Array]:
    """The map from v to F_l^T v."""
    pull = jax.vjp(lambda x: branch(layer, x), x)[1]
    return lambda v: pull(v)[0]


def _align_leading(a: jax.Array, values: jax.Array) -> jax.Array:
    """A vector with axes of length 1, so that it goes with the first axis of `values`."""
    return a.reshape(-1, *[1] * (values.ndim - 1))


def _normalized(values: jax.Array, exponents: jax.Array) -> PathGradients:
    """The same parts with powers of two moved from the values to the exponents, unrounded."""
    largest = jnp.max(jnp.abs(values), tuple(range(1, values.ndim)))
    power = jnp.frexp(largest)[1].astype(jnp.int32)
    scaled = jnp.ldexp(values, _align_leading(-power, values))
    return PathGradients(scaled, jnp.where(largest > 0, exponents + power, _ZERO_EXPONENT))


def _sum(a: PathGradients, b: PathGradients) -> PathGradients:
    """The sum, part by part; a part that is too small beside the other to matter becomes 0."""
    common = jnp.maximum(a.exponents, b.exponents)
    floor = jnp.int32(-200)
    values = [
        jnp.ldexp(p.values, _align_leading(jnp.maximum(p.exponents - common, floor), p.values))
        for p in (a, b)
    ]
    return _normalized(values[0] + values[1], common)
