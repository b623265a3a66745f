"""What the tests of nets share: encoders small enough for two cores, and drawn variables."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg.models import ResNetSize

TINY = ResNetSize((1, 1, 1, 1), width=8)
TINIEST = ResNetSize((1, 1, 1, 1), bottleneck=False, width=8)
TINY_BASIC = ResNetSize((2, 1, 1, 2), bottleneck=False, width=8)


def quick(make):
    """The net that `make()` builds, kernels drawn by NumPy: no program to compile a shape."""
    graphdef, state = nnx.split(nnx.eval_shape(make))
    rng = np.random.default_rng(0)

    def fill(path, leaf):
        name = next(k.key for k in reversed(path) if isinstance(getattr(k, "key", None), str))
        if name == "kernel":
            scale = np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return jnp.asarray(rng.normal(scale=scale, size=leaf.shape), leaf.dtype)
        return jnp.full(leaf.shape, name in ("scale", "var"), leaf.dtype)

    return nnx.merge(graphdef, jax.tree_util.tree_map_with_path(fill, state))


def call(net, images, *, method=None, key=None, **options):
    """`net(images)`, compiled once for each method, options, shape and architecture."""
    extra = {} if key is None else {"key": key}
    return _compiled(method, tuple(options.items()))(net, images, extra)


@functools.cache
def _compiled(method, options):
    def run(net, images, extra):
        return (net if method is None else getattr(net, method))(images, **dict(options), **extra)

    return jax.jit(run)


def images(size, batch=2, inputs=3, seed=1):
    return jax.random.normal(jax.random.key(seed), (batch, *size, inputs))


def draw_norms(net, seed=7):
    """Scales, shifts and running statistics drawn, so that one left out is seen; the net itself."""
    for number, (path, variable) in enumerate(nnx.to_flat_state(nnx.state(net))):
        key = jax.random.fold_in(jax.random.key(seed), number)
        name, value = path[-1], variable[...]
        if name in ("scale", "var"):
            variable[...] = jax.random.uniform(key, value.shape, minval=0.5, maxval=1.5)
        elif name in ("bias", "mean"):
            variable[...] = 0.3 * jax.random.normal(key, value.shape)
    return net


def parameters(net):
    return sum(a.size for a in jax.tree.leaves(nnx.state(net, nnx.Param)))


def leaves(tree):
    return [jnp.asarray(a) for a in jax.tree.leaves(tree)]
