"""What a stack of layers does to activations and gradients, layer by layer, in logs.

Forward and backward are one `lax.scan` each, for any `layer(params, x) -> x`. Deep random nets
leave the range of float32 soon: a He-initialised residual net doubles its variance at each layer.
So the gradient is brought back to a norm between 1/2 and 1 after every layer, by a power of two
that is carried as an integer: a vector-Jacobian product is linear, and nothing is rounded.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from jaxseg.analysis.cosines import mean_cosine, rows_of
from jaxseg.numerics import safe_norm

Layer = Callable[[Any, jax.Array], jax.Array]
"""(params of one layer, x) -> x of the same shape."""
Compare = Callable[[Float[Array, "examples size"]], Any]
"""Rows of norm 1, an example each -> what is kept of how they lie to each other."""
Result = TypeVar("Result")


class ForwardSignal(NamedTuple):
    """The activations x_0 ... x_L of a stack of L layers.

    Attributes:
        output: x_L; with `homogeneous`, up to a power of two.
        inputs: x_0 ... x_{L-1}, likewise: what `backward_signal` wants.
        log_variances: ln of the mean square of each example's x_l.
        similarity: what `compare` made of each x_l, a leading axis of L + 1.
        branch_fractions: |x_{l+1} - x_l|^2 / |x_{l+1}|^2 over all examples: behind an identity
            shortcut the share of the variance that the branch has added, for a branch that is
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
        log_norms: ln of the Euclidean norm of each example's part of dE/dx_l.
        similarity: what `compare` made of each dE/dx_l, a leading axis of L + 1.
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

    A pure function of arrays: `vmap` it over seeds, or take `over_seeds`, which also draws them in
    chunks and shares them out among devices.

    Args:
        layer: one layer; a residual one adds its input itself.
        params: the layers' parameters, a pytree whose leaves have a leading axis of layers.
        x: the inputs of all examples at once, so that a layer may normalise over them.
        homogeneous: say that layer(params, a x) = a layer(params, x) for all a > 0: nets of ReLU
            without norm and bias. Activations are then rescaled like gradients, and any depth can
            be measured; other layers' are taken as they come.
        compare: how the examples of one x_l are compared: `mean_cosine`, `cosine_matrix`,
            `functools.partial(autocorrelation, lags=...)`, a function of yours; None: not at all.

    Raises:
        ValueError: no example or no feature; leaves of `params` without a common leading axis, or
            a layer that does not keep the shape and dtype of x.
    """
    _check(layer, params, x)

    def step(carry, params):
        x, exponent = carry
        y = layer(params, x)
        fraction = (safe_norm(y - x) / safe_norm(y)) ** 2
        if homogeneous:
            y, shift = _rescaled(y)
            exponent = exponent + shift
        return (y, exponent), (x, *_measured(y, exponent, compare), fraction)

    first, exponent = _rescaled(x) if homogeneous else (x, jnp.zeros((), jnp.int32))
    at_input = _measured(first, exponent, compare)
    (output, _), (inputs, logs, similarity, fractions) = lax.scan(step, (first, exponent), params)
    logs, similarity = _joined(at_input, (logs, similarity))
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

    Only dE/dx_l is formed, never a gradient of parameters. Examples that a layer couples (batch
    norm over the batch's own statistics) are differentiated as coupled: the gradient at an example
    is then that of the loss of all. `lax.stop_gradient` on the statistics gives each example's own.

    Args:
        layer: as in `forward_signal`.
        params: as in `forward_signal`.
        inputs: x_0 ... x_{L-1}, from `forward_signal` or `nn.Stack.trace`.
        cotangent: dE/dx_L, of any size; the same for all examples to ask for the correlation of
            one function's gradients at different inputs.
        compare: as in `forward_signal`, of the gradients.

    Raises:
        ValueError: as `forward_signal`, or `inputs` and `cotangent` that do not fit each other.
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
        g, shift = _rescaled(pull(g)[0])
        exponent = exponent + shift
        return (g, exponent), _measured(g, exponent, compare)

    start = _rescaled(cotangent)
    at_output = _measured(*start, compare)
    _, measured = lax.scan(step, start, (params, inputs), reverse=True)
    return BackwardSignal(*_joined(measured, at_output))


def over_seeds(
    measure: Callable[[Any], Result],
    keys: Any,
    *,
    batch_size: int | None = 4,
    mesh: Mesh | None = None,
) -> Result:
    """`measure(key)` of every key, a few at a time, under one `jit`.

    What a measurement draws, it draws from its own key, and gives back when it is done: 256 nets
    of 64 layers of 256 x 256 weights are 4 GB, four of them 64 MB.

    Args:
        measure: one seed's, to a pytree of arrays.
        keys: (seeds,) PRNG keys; or what was drawn already, a pytree of arrays with a leading axis
            of seeds.
        batch_size: seeds at once on each device, by `vmap`; None: all.
        mesh: share the seeds out among all of its devices.

    Returns:
        the pytree of `measure`, its leaves with a leading axis of seeds. Each call traces
        `measure` anew: `jit` what is called often.

    Raises:
        ValueError: seeds that do not divide by the devices, or `batch_size` < 1.
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

    def share(keys):
        if batch_size is None or batch_size * devices >= seeds:
            return jax.vmap(measure)(keys)
        return lax.map(measure, keys, batch_size=None if batch_size == 1 else batch_size)

    if mesh is None:
        return jax.jit(share)(keys)
    split = PartitionSpec(mesh.axis_names)
    # Unchecked: a measurement may start a scan from zeros, which the check takes for a carry that
    # begins to vary. Nothing is differentiated across devices.
    shared_out = jax.shard_map(share, mesh=mesh, in_specs=split, out_specs=split, check_vma=False)
    return jax.jit(shared_out)(keys)


# --- parts ---------------------------------------------------------------------------------------


def _rescaled(x: jax.Array) -> tuple[jax.Array, Int[Array, ""]]:
    """An array over a power of two, of norm 1/2 to 1, and the exponent; not finite or 0: as is."""
    exponent = jnp.frexp(safe_norm(x))[1]
    # In two steps: the inverse of the largest float32 is not one.
    half = exponent // 2
    one = jnp.ones((), x.dtype)
    return x * jnp.ldexp(one, -half) * jnp.ldexp(one, half - exponent), exponent


def _measured(
    x: jax.Array, exponent: Int[Array, ""], compare: Compare | None
) -> tuple[Float[Array, "examples"], Any]:
    """Logs of the norms of the examples of x 2^exponent, and how they compare."""
    rows = rows_of(x)
    norms = jax.vmap(safe_norm)(rows)
    logs = jnp.log(norms) + exponent.astype(jnp.float32) * math.log(2)
    if compare is None:
        return logs, None
    return logs, compare(rows / jnp.where(norms > 0, norms, 1)[:, None])


def _joined(first: Any, rest: Any) -> Any:
    """One layer's measurements and those of a stack of layers, in that order or the other."""

    def join(a, b):
        a, b = (a[None], b) if a.ndim < b.ndim else (a, b[None])
        return jnp.concatenate([a, b])

    return jax.tree.map(join, first, rest)


def _check(layer: Layer, params: Any, x: jax.Array, layers: int | None = None) -> None:
    if x.ndim < 1 or x.size == 0:
        raise ValueError(
            f"x {x.shape} must be (examples, ...) and hold a number or more: there is nothing to "
            "measure."
        )
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(params)]
    lengths = {shape[:1] for shape in shapes} | ({(layers,)} if layers is not None else set())
    if not shapes or () in lengths or len(lengths) > 1:
        wanted = "" if layers is None else f" of {layers}, like the inputs"
        raise ValueError(
            f"The leaves of params must share a leading axis of layers{wanted}, but their shapes "
            f"are {shapes}: stack the layers' parameters."
        )
    shape = lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype)  # noqa: E731
    found = jax.eval_shape(
        layer, jax.tree.map(shape, params), jax.ShapeDtypeStruct(x.shape, x.dtype)
    )
    if (found.shape, found.dtype) != (x.shape, x.dtype):
        raise ValueError(
            f"A layer must keep the shape and dtype of its input, but makes {found.shape} "
            f"{found.dtype} of {x.shape} {x.dtype}: measure what comes before and behind apart."
        )
