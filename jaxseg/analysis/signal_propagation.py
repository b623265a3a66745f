"""Activations and gradients of a stack of layers, layer by layer, as logarithms.

Forward and backward pass are one `lax.scan` each, for any `layer(params, x) -> x`. Deep random nets
leave the range of float32 soon: a He-initialized residual net doubles its variance at each layer.
So the gradient is brought back to a norm between 1/2 and 1 after every layer, by a power of two
that is carried as an integer. A vector-Jacobian product is linear, so nothing is rounded.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from jaxseg.analysis.cosines import flatten_examples, mean_cosine
from jaxseg.numerics import safe_norm

Layer = Callable[[Any, jax.Array], jax.Array]
"""`layer(params, x)`, which keeps the shape of x."""
Compare = Callable[[Float[Array, "examples size"]], Any]
"""`compare(units)`, of rows of norm 1, one for each example; any pytree of arrays."""
Result = TypeVar("Result")


class ForwardSignal(NamedTuple):
    """The activations x_0 ... x_L of a stack of L layers.

    Attributes:
        output: x_L, with `homogeneous` up to a power of two.
        inputs: x_0 ... x_{L-1}, likewise, as `backward_signal` takes them.
        log_variances: Natural logarithm of the mean square of each example's x_l.
        similarity: Result of `compare` for each x_l, with a leading axis of L + 1; None without it.
        branch_fractions: |x_{l+1} - x_l|^2 / |x_{l+1}|^2 over all examples. Behind an identity
            shortcut this is the share of the variance that the branch has added, if the branch is
            uncorrelated with its input.
    """

    output: Float[Array, "examples ..."]
    inputs: Float[Array, "layers examples ..."]
    log_variances: Float[Array, "layers+1 examples"]
    similarity: Any
    branch_fractions: Float[Array, "layers"]


class BackwardSignal(NamedTuple):
    """The gradients dE/dx_0 ... dE/dx_L.

    Attributes:
        log_norms: Natural logarithm of the Euclidean norm of each example's part of dE/dx_l.
        similarity: Result of `compare` for each dE/dx_l, with a leading axis of L + 1; None without
            it.
    """

    log_norms: Float[Array, "layers+1 examples"]
    similarity: Any


# --- forward and backward ------------------------------------------------------------------------


def forward_signal(
    layer: Layer,
    params: Any,
    x: Float[Array, "examples ..."],
    *,
    homogeneous: bool = False,
    compare: Compare | None = mean_cosine,
) -> ForwardSignal:
    """Run a stack and measure its activations.

    This is a pure function of arrays: `vmap` it over seeds, or use `over_seeds`, which draws them
    in chunks and shares them out among devices.

    Args:
        layer: `layer(params, x)`, one layer; a residual one adds its input itself.
        params: Parameters of the layers, a pytree whose leaves have a leading axis of layers.
        x: Inputs of all examples together, so that a layer may normalize over them.
        homogeneous: Whether layer(params, a x) = a layer(params, x) for all a > 0, as in nets of
            ReLU without norm and bias. Activations are then rescaled like gradients, and any depth
            can be measured. Those of other layers are taken as they are.
        compare: Comparison of the examples of one x_l: `mean_cosine`, `cosine_matrix`,
            `functools.partial(autocorrelation, lags=...)` or another function of rows of norm 1;
            None for no comparison.

    Returns:
        A `ForwardSignal`.

    Raises:
        ValueError: `x` has no example or no feature; the leaves of `params` have no common leading
            axis; a layer does not keep the shape and dtype of x.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import forward_signal
        >>> signal = forward_signal(lambda w, x: w * x, jnp.array([2.0, 3.0]), jnp.eye(2))
        >>> [round(float(n), 3) for n in jnp.exp(signal.log_variances[:, 0])]
        [0.5, 2.0, 18.0]
    """
    _check(layer, params, x)

    def step(carry, params):
        x, exponent = carry
        y = layer(params, x)
        fraction = (safe_norm(y - x) / safe_norm(y)) ** 2
        if homogeneous:
            y, shift = _rescale(y)
            exponent = exponent + shift
        return (y, exponent), (x, *_measure(y, exponent, compare), fraction)

    first, exponent = _rescale(x) if homogeneous else (x, jnp.zeros((), jnp.int32))
    at_input = _measure(first, exponent, compare)
    (output, _), (inputs, logs, similarity, fractions) = lax.scan(step, (first, exponent), params)
    logs, similarity = _concatenate(at_input, (logs, similarity))
    size = math.prod(x.shape[1:])
    return ForwardSignal(output, inputs, 2 * logs - math.log(size), similarity, fractions)


def backward_signal(
    layer: Layer,
    params: Any,
    inputs: Float[Array, "layers examples ..."],
    cotangent: Float[Array, "examples ..."],
    *,
    compare: Compare | None = mean_cosine,
) -> BackwardSignal:
    """Carry a gradient back through a stack and measure it at every layer.

    Only dE/dx_l is formed, never a gradient of parameters. Examples that a layer couples, as batch
    norm over the statistics of the batch does, are differentiated as coupled: the gradient at an
    example is then that of the loss of all. `lax.stop_gradient` on the statistics gives each
    example's own.

    Args:
        layer: `layer(params, x)`, one layer; a residual one adds its input itself.
        params: Parameters of the layers, a pytree whose leaves have a leading axis of layers.
        inputs: x_0 ... x_{L-1}, from `forward_signal` or `nn.Stack.trace`.
        cotangent: dE/dx_L, of any size. Give all examples the same one to compare the gradients of
            one function at different inputs.
        compare: Comparison of the gradients of the examples at one x_l, as in `forward_signal`;
            None for no comparison.

    Returns:
        A `BackwardSignal`.

    Raises:
        ValueError: `inputs` and `cotangent` do not fit each other; there is no example or no
            feature; the leaves of `params` have no common leading axis; a layer does not keep the
            shape and dtype of x.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg.analysis import backward_signal, forward_signal
        >>> layer, weights, x = lambda w, x: w * x, jnp.array([2.0, 3.0]), jnp.eye(2)
        >>> inputs = forward_signal(layer, weights, x).inputs
        >>> signal = backward_signal(layer, weights, inputs, jnp.ones((2, 2)) * 1e30)
        >>> growth = signal.log_norms[:, 0] - signal.log_norms[-1, 0]
        >>> [round(float(n), 3) for n in growth]  # ln 6, ln 3, 0
        [1.792, 1.099, 0.0]
    """
    if inputs.shape[1:] != cotangent.shape:
        raise ValueError(
            f"backward_signal: inputs {inputs.shape} must be (layers, *cotangent.shape), and the "
            f"cotangent is {cotangent.shape}: give dE/dx_L for every example."
        )
    _check(layer, params, cotangent, len(inputs))

    def step(carry, given):
        g, exponent = carry
        params, x = given
        _, pull = jax.vjp(lambda x: layer(params, x), x)
        g, shift = _rescale(pull(g)[0])
        exponent = exponent + shift
        return (g, exponent), _measure(g, exponent, compare)

    start = _rescale(cotangent)
    at_output = _measure(*start, compare)
    _, measured = lax.scan(step, start, (params, inputs), reverse=True)
    return BackwardSignal(*_concatenate(measured, at_output))


def over_seeds(
    measure: Callable[[Any], Result],
    keys: Any,
    *,
    batch_size: int | None = 4,
    mesh: Mesh | None = None,
) -> Result:
    """Call `measure(key)` on every key, a few at a time, under one `jit`.

    A measurement draws what it needs from its own key and gives it back when it is done: 256 nets
    of 64 layers of 256 x 256 weights are 4 GB, four of them 64 MB.

    Args:
        measure: Function of one seed's key that returns a pytree of arrays.
        keys: (seeds,) PRNG keys; or what was drawn already, a pytree of arrays with a leading axis
            of seeds.
        batch_size: Most seeds at a time on each device, by `vmap`; None for all.
        mesh: Mesh among all of whose devices the seeds are shared out; None for one device.

    Returns:
        The pytree of `measure`, its leaves with a leading axis of seeds. Each call traces `measure`
        anew: compile what is called often with `jit`.

    Raises:
        ValueError: The devices do not divide the seeds, or `batch_size` is below 1.

    Example:
        >>> import jax
        >>> from jaxseg.analysis import over_seeds
        >>> keys = jax.random.split(jax.random.key(0), 8)
        >>> over_seeds(lambda key: {"x": jax.random.normal(key, (3,))}, keys)["x"].shape
        (8, 3)
    """
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1, or None for all at once.")
    devices = mesh.size if mesh is not None else 1
    seeds = len(jax.tree.leaves(keys)[0])
    if seeds % devices:
        raise ValueError(
            f"{seeds} seeds do not divide by the {devices} devices of the mesh: take a "
            f"multiple of {devices}."
        )

    def of_shard(keys):
        if batch_size is None or batch_size * devices >= seeds:
            return jax.vmap(measure)(keys)
        return lax.map(measure, keys, batch_size=None if batch_size == 1 else batch_size)

    if mesh is None:
        return jax.jit(of_shard)(keys)
    split = PartitionSpec(mesh.axis_names)
    # Unchecked: a measurement may start a scan from zeros, which the check takes for a carry that
    # begins to vary. Nothing is differentiated across devices.
    sharded = jax.shard_map(of_shard, mesh=mesh, in_specs=split, out_specs=split, check_vma=False)
    return jax.jit(sharded)(keys)


# --- parts ---------------------------------------------------------------------------------------


def _rescale(x: jax.Array) -> tuple[jax.Array, Int[Array, ""]]:
    """The array divided by a power of two, so that its norm is from 1/2 to 1, and the exponent.

    An array of zeros, or one that is not finite, stays as it is.
    """
    exponent = jnp.frexp(safe_norm(x))[1]
    # In two steps, as the inverse of the largest float32 is not a float32.
    half = exponent // 2
    one = jnp.ones((), x.dtype)
    return x * jnp.ldexp(one, -half) * jnp.ldexp(one, half - exponent), exponent


def _measure(
    x: jax.Array, exponent: Int[Array, ""], compare: Compare | None
) -> tuple[Float[Array, "examples"], Any]:
    """Log norm of each example of x * 2**exponent, and the comparison of their directions."""
    rows = flatten_examples(x)
    norms = jax.vmap(safe_norm)(rows)
    logs = jnp.log(norms) + exponent.astype(jnp.float32) * math.log(2)
    if compare is None:
        return logs, None
    return logs, compare(rows / jnp.where(norms > 0, norms, 1)[:, None])


def _concatenate(first: Any, rest: Any) -> Any:
    """Join the measurements of one layer and those of a stack of layers, in either order."""

    def concatenate(a, b):
        a, b = (a[None], b) if a.ndim < b.ndim else (a, b[None])
        return jnp.concatenate([a, b])

    return jax.tree.map(concatenate, first, rest)


def _check(layer: Layer, params: Any, x: jax.Array, layers: int | None = None) -> None:
    if x.ndim < 1 or x.size == 0:
        raise ValueError(
            f"x has shape {x.shape}, but must be (examples, ...) and hold a number or more: give "
            "at least one example with one feature."
        )
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(params)]
    lengths = {shape[:1] for shape in shapes} | ({(layers,)} if layers is not None else set())
    if not shapes or () in lengths or len(lengths) > 1:
        length = "" if layers is None else f" of {layers}, like the inputs"
        raise ValueError(
            f"The leaves of params must share a leading axis of layers{length}, but their shapes "
            f"are {shapes}: stack the layers' parameters."
        )
    of_one_layer = lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype)  # noqa: E731
    output = jax.eval_shape(
        layer, jax.tree.map(of_one_layer, params), jax.ShapeDtypeStruct(x.shape, x.dtype)
    )
    if (output.shape, output.dtype) != (x.shape, x.dtype):
        raise ValueError(
            f"A layer must keep the shape and dtype of its input, but makes {output.shape} "
            f"{output.dtype} of {x.shape} {x.dtype}: measure what comes before and behind apart."
        )
