"""Conv and UpConv hold a kernel and call `ops`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from flax import nnx

from jaxseg import ops
from jaxseg.nn import Conv, UpConv


def images(*shape):
    return jax.random.normal(jax.random.key(1), shape)


CONVS = [
    {},
    {"window": (1, 3), "stride": (1, 2), "padding": "valid"},
    {"dilation": 2, "groups": 2, "padding": 1},
    {"window": (3,), "stride": 2},
]


@pytest.mark.parametrize("options", CONVS)
def test_conv_is_ops_conv_with_its_own_kernel(options):
    module = Conv(4, 6, bias=True, rngs=nnx.Rngs(0), **options)
    x = images(2, 7, 6, 4) if len(module.kernel.shape) == 4 else images(2, 7, 4)
    module.bias[...] = jnp.arange(6.0)
    window = options.get("window", (3, 3))
    assert module.kernel.shape == (*window, 4 // options.get("groups", 1), 6)
    rest = {k: v for k, v in options.items() if k != "window"}
    both = quick_jit(lambda x: (module(x), ops.conv(x, module.kernel[...], **rest)))
    y, without_bias = both(x)
    np.testing.assert_allclose(y, np.asarray(without_bias) + np.arange(6.0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{}, {"window": 3, "stride": (2, 3), "output_padding": 1}, {"groups": 2, "padding": "valid"}],
)
def test_upconv_is_ops_upconv_with_its_own_kernel(options):
    module = UpConv(4, 6, bias=True, rngs=nnx.Rngs(0), **options)
    module.bias[...] = jnp.arange(6.0)
    x = images(2, 3, 4, 4)
    rest = {k: v for k, v in options.items() if k != "window"}
    both = quick_jit(lambda x: (module(x), ops.upconv(x, module.kernel[...], **rest)))
    y, without_bias = both(x)
    np.testing.assert_allclose(y, np.asarray(without_bias) + np.arange(6.0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", [Conv, UpConv])
def test_dtype_is_that_of_the_computation_not_of_the_parameters(make):
    x = images(1, 4, 4, 2)
    full, half = (make(2, 3, bias=True, dtype=d, rngs=nnx.Rngs(0)) for d in (None, jnp.bfloat16))
    assert half(x).dtype == jnp.bfloat16
    assert full(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert full(x).dtype == half.kernel[...].dtype == half.bias[...].dtype == jnp.float32
    np.testing.assert_allclose(half(x).astype(jnp.float32), full(x), rtol=0.05, atol=0.05)
    gradient = nnx.grad(lambda m: jnp.sum(m(x).astype(jnp.float32)))(half)
    assert {a.dtype for a in jax.tree.leaves(gradient)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("make", [Conv, UpConv])
@pytest.mark.parametrize(("i", "o", "groups"), [(0, 2, 1), (3, 4, 2), (4, 3, 2), (4, 4, 0)])
def test_channels_that_do_not_fit_are_refused(make, i, o, groups):
    with pytest.raises(ValueError, match=rf"inputs={i} and features={o} must be .*groups={groups}"):
        make(i, o, groups=groups, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("make", [Conv, UpConv])
def test_parameters_are_float32_even_where_doubles_are_allowed(x64, make):
    module = make(2, 3, bias=True, rngs=nnx.Rngs(0))
    assert {a.dtype for a in jax.tree.leaves(nnx.state(module))} == {jnp.dtype("float32")}
    assert module(jnp.ones((1, 4, 4, 2), jnp.float64)).dtype == jnp.float64
