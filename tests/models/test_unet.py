"""U-Net against its definition in functions of `ops`, and the places of its logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_nets import QUICKLY, call, draw_norms, images, quick

from jaxseg import ops
from jaxseg.models import UNet

OPTIONS = {
    "published": {"padding": "valid"},
    "same": {},
    "residual_sum": {"residual": True, "skips": "sum"},
    "valid_residual_resize": {"padding": "valid", "residual": True, "up": "resize"},
    "valid_resize_none": {"padding": "valid", "up": "resize", "skips": "none"},
}


def make(**options):
    return draw_norms(
        quick(lambda: UNet(classes=3, inputs=2, widths=(4, 4, 6), **options, rngs=nnx.Rngs(0)))
    )


def definition(net, x, *, padding="same", residual=False, up="upconv", skips="concat"):
    """The logits, in functions of `ops` with the net's own parameters."""

    def unit(module, x, padding):
        norm = module.norm
        y = ops.conv(x, module.conv.kernel[...], padding=padding)
        scale = norm.scale[...] / jnp.sqrt(norm.var[...] + 1e-5)
        mean, scale, bias = (
            a.reshape(1, 1, 1, -1) for a in (norm.mean[...], scale, norm.bias[...])
        )
        return (y - mean) * scale + bias

    def crop(x, like):
        before = [(n - m) // 2 for n, m in zip(x.shape[1:3], like.shape[1:3], strict=True)]
        rows, columns = (slice(b, b + m) for b, m in zip(before, like.shape[1:3], strict=True))
        return x[:, rows, columns]

    def block(module, x):
        y = unit(module.second, jax.nn.relu(unit(module.first, x, padding)), padding)
        if residual:
            x = crop(x, y)
            y = y + (x if module.shortcut is None else unit(module.shortcut, x, "same"))
        return jax.nn.relu(y)

    def upsampled(module, x, skip):
        size = skip.shape[1:3] if padding == "same" else tuple(2 * n for n in x.shape[1:3])
        bias = module.bias[...].reshape(1, 1, 1, -1)
        if up == "upconv":
            y = ops.upconv(x, module.kernel[...], stride=2) + bias
            return y[:, : size[0], : size[1]]
        return ops.resize(ops.conv(x, module.kernel[...]) + bias, size)

    height, width = x.shape[1:3]
    if padding == "valid":  # three levels: 20 pixels before, and 20 to 23 behind
        x = ops.mirror_pad(x, [(20, 20 + (4 - n) % 4) for n in (height, width)])
    first = block(net.down[0], x)
    second = block(net.down[1], ops.max_pool(first, 2, padding="same"))
    x = block(net.down[2], ops.max_pool(second, 2, padding="same"))
    for n, skip in enumerate((second, first)):
        x = upsampled(net.ups[n], x, skip)
        if skips == "concat":
            x = jnp.concatenate([crop(skip, x), x], -1)
        elif skips == "sum":
            x = x + crop(skip, x)
        x = block(net.merge[n], x)
    logits = ops.conv(x, net.classifier.kernel[...]) + net.classifier.bias[...].reshape(1, 1, 1, -1)
    return logits[:, :height, :width]


@pytest.mark.parametrize("name", OPTIONS)
def test_logits_are_those_of_the_definition(name):
    net = make(**OPTIONS[name])
    x = images((13, 18), inputs=2)
    expected = jax.jit(
        lambda net, x: definition(net, x, **OPTIONS[name]), compiler_options=QUICKLY
    )(net, x)
    np.testing.assert_allclose(call(net, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [n for n in OPTIONS if "valid" in OPTIONS[n].get("padding", "")])
def test_valid_logits_stay_at_their_pixels(name):
    # Mirrored images and kernels have mirrored logits if margins and crops are symmetric.
    net, x = make(**OPTIONS[name]), images((12, 20), inputs=2)
    mirrored = jax.tree.map(lambda a: a[::-1, ::-1] if a.ndim == 4 else a, net)
    np.testing.assert_allclose(
        call(mirrored, x[:, ::-1, ::-1])[:, ::-1, ::-1], call(net, x), rtol=1e-4, atol=1e-4
    )


def test_the_published_net_mirrors_184_pixels():
    sizes = []
    net = quick(lambda: UNet(classes=2, widths=(4,) * 5, padding="valid", rngs=nnx.Rngs(0)))

    def first_block(x, **options):
        sizes.append(x.shape[1:3])
        raise StopIteration

    net.down[0] = first_block
    with pytest.raises(StopIteration):
        net(jnp.zeros((1, 388, 388, 3)))
    assert sizes == [(572, 572)]
