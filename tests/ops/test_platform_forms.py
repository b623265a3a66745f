"""The form that is lowered for an accelerator unless another is asked for."""

import jax
import jax.numpy as jnp
import pytest

from jaxseg import ops


def count_convolutions(platform, form):
    def gradients(x, kernel):
        return jax.grad(lambda x, k: (ops.conv(x, k, groups=4) ** 2).sum(), (0, 1))(x, kernel)

    with ops.lowering(form):
        traced = jax.jit(gradients).trace(jnp.ones((2, 6, 6, 4)), jnp.ones((3, 3, 1, 4)))
        text = traced.lower(lowering_platforms=(platform,)).as_text()
    return text.count("stablehlo.convolution")


@pytest.mark.parametrize("platform", ["cuda", "rocm", "tpu"])
def test_accelerators_get_the_convolutions_of_lax(platform):
    counts = {form: count_convolutions(platform, form) for form in ("auto", "direct", "fast")}
    assert counts == {"auto": 3, "direct": 3, "fast": 0}
