"""What the tests of nets share: encoders small enough for two cores, and drawn variables."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.models import ResNetSize

TINY = ResNetSize((1, 1, 1, 1), width=8)
TINY_BASIC = ResNetSize((2, 1, 1, 2), bottleneck=False, width=8)


def call(net, images, *, method=None, **options):
    """`net(images)`, compiled; `options` are static but for keys."""
    static = {k: v for k, v in options.items() if not isinstance(v, jax.Array)}
    arrays = {k: v for k, v in options.items() if isinstance(v, jax.Array)}

    def run(net, images, arrays):
        return (net if method is None else getattr(net, method))(images, **static, **arrays)

    return jax.jit(run)(net, images, arrays)


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
