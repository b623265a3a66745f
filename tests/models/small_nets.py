"""What the tests of nets share: encoders small enough for two cores, and drawn variables."""

import functools

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
# One block of each kind at least; the first of the last stage keeps its channels.
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


# Tiny nets spend the tests' time in LLVM, which without its optimisations takes half as long.
QUICKLY = {"xla_backend_optimization_level": 0}


def quick(make, seed=0):
    """The net that `make()` builds, kernels drawn by NumPy: no program to compile a shape."""
    graphdef, state = nnx.split(nnx.eval_shape(make))
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
    extra = {} if key is None else {"key": key}
    return _compiled(method, tuple(options.items()))(net, images, extra)


@functools.cache
def _compiled(method, options):
    def run(net, images, extra):
        return (net if method is None else getattr(net, method))(images, **dict(options), **extra)

    return jax.jit(run, compiler_options=QUICKLY)


def images(size, batch=2, inputs=3, seed=1):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(batch, *size, inputs)), jnp.float32)


def draw_norms(net, seed=7):
    """Scales, shifts and running statistics drawn, so that one left out is seen; the net itself."""
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
