"""Helpers of the tests of nets: small encoders, drawn variables, fast builds and compilations."""

import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg.models import Bottleneck, DRNSize, MobileNetSize, ResNetSize

TINY = ResNetSize((1, 1, 1, 1), width=8)
TINIEST = ResNetSize((1, 1, 1, 1), bottleneck=False, width=8)
TINY_BASIC = ResNetSize((2, 1, 1, 2), bottleneck=False, width=8)
TINY_DRN_C = DRNSize((1, 1, 1, 1), variant="C", width=8)
TINY_DRN_D = DRNSize((1, 1, 1, 1), bottleneck=True, width=8)
# At least one block of each kind; the first block of the last stage keeps its channels.
TINY_MOBILE = MobileNetSize(
    stem=8,
    stages=(
        (Bottleneck(3, 8, 8, False, "relu"),),
        (Bottleneck(3, 8, 16, False, "relu"),),
        (Bottleneck(5, 24, 32, True, "relu"), Bottleneck(3, 32, 32, False, "relu")),
        (Bottleneck(3, 32, 24, False, "hard_swish"),),
        (Bottleneck(5, 48, 24, True, "hard_swish"), Bottleneck(5, 40, 24, True, "hard_swish")),
    ),
    last=48,
)


def _supported(options):
    """Keep the compiler options that this version of XLA has."""
    kept = {}
    for name, value in options.items():
        try:
            jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
        except jax.errors.JaxRuntimeError:
            continue
        kept[name] = value
    return kept


# Tests of tiny nets spend their time in the compiler. Without LLVM's optimizations and the newer
# code generator of fusions, gradients compile three times as fast, with the same values; one
# module of machine code instead of many saves another tenth.
QUICKLY = _supported(
    {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": 1,
    }
)


class _ConstantRngs:
    """Stand-in for `nnx.Rngs` where only shapes count: its counters are slow to trace."""

    def __init__(self, *seeds, **streams):
        del seeds, streams

    def params(self):
        return jax.random.key(0)

    __call__ = params


def abstract(make):
    """The net that `make()` builds, with shapes in place of arrays."""
    with mock.patch.object(nnx, "Rngs", _ConstantRngs):
        return nnx.eval_shape(make)


def initialized(make):
    """The net that `make()` builds, with its own initial kernels, in one compilation."""
    state = jax.jit(lambda: nnx.state(make()), compiler_options=QUICKLY)()
    return nnx.merge(nnx.graphdef(abstract(make)), state)


def quick(make, seed=0):
    """The net that `make()` builds, its kernels drawn by NumPy, without any compilation."""
    graphdef, state = nnx.split(abstract(make))
    rng = np.random.default_rng(seed)

    def fill(path, leaf):
        name = next(k.key for k in reversed(path) if isinstance(getattr(k, "key", None), str))
        if name == "kernel":
            scale = np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return jnp.asarray(rng.normal(scale=scale, size=leaf.shape), leaf.dtype)
        return jnp.asarray(np.full(leaf.shape, name in ("scale", "var"), leaf.dtype))

    return nnx.merge(graphdef, jax.tree_util.tree_map_with_path(fill, state))


def call(net, images, *, method=None, key=None, **options):
    """`net(images)`, compiled once for each method, options, shape and architecture."""
    named = {} if key is None else {"key": key}
    return _compiled(method, tuple(options.items()))(net, images, named)


@functools.cache
def _compiled(method, options):
    def run(net, images, named):
        return (net if method is None else getattr(net, method))(images, **dict(options), **named)

    return jax.jit(run, compiler_options=QUICKLY)


def shapes(net, size, batch=1, *, method=None, **options):
    """Shapes and dtypes that `net(images)` returns for images of that size."""
    x = jax.ShapeDtypeStruct((batch, *size, 3), jnp.float32)
    run = lambda net, x: (net if method is None else getattr(net, method))(x, **options)  # noqa: E731
    return nnx.eval_shape(run, net, x)


def images(size, batch=2, inputs=3, seed=1):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(batch, *size, inputs)), jnp.float32)


def draw_norms(net, seed=7):
    """Draw the scales, shifts and running statistics of a net, so that a missing one shows."""
    rng = np.random.default_rng(seed)
    for path, variable in nnx.to_flat_state(nnx.state(net)):
        name, value = path[-1], variable[...]
        if name in ("scale", "var"):
            variable[...] = jnp.asarray(rng.uniform(0.5, 1.5, value.shape), value.dtype)
        elif name in ("bias", "mean"):
            variable[...] = jnp.asarray(0.3 * rng.normal(size=value.shape), value.dtype)
    return net


def parameters(net):
    return sum(a.size for a in jax.tree.leaves(nnx.state(net, nnx.Param)))


def leaves(tree):
    return [jnp.asarray(a) for a in jax.tree.leaves(tree)]
