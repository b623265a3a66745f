"""U-Net on an encoder: its decoder blocks, and the sizes that they work at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_nets import QUICKLY, TINIEST, abstract, call, draw_norms, images, quick, shapes

from jaxseg import ops
from jaxseg.models import EncoderUNet
from jaxseg.models.encoder_unet import DecoderBlock
from jaxseg.nn import BatchNorm


def test_a_step_up_appends_the_skip_behind_what_came_up():
    x, skip = images((4, 3), inputs=5), images((4, 3), inputs=2, seed=2)
    step = draw_norms(quick(lambda: DecoderBlock(5, 2, 8, norm=BatchNorm, rngs=nnx.Rngs(0))))
    kernel = step.first.conv.kernel[...]
    expected = ops.conv(x, kernel[:, :, :5]) + ops.conv(skip, kernel[:, :, 5:])
    expected = step.second(jax.nn.relu(step.first.norm(expected)))
    np.testing.assert_allclose(step(x, skip), expected, rtol=1e-4, atol=1e-4)


def test_decoder_blocks_repeat_pixels_before_they_append_the_skip():
    options = {"classes": 3, "backbone": TINIEST, "decoder": (8,) * 5}
    net = draw_norms(quick(lambda: EncoderUNet(**options, rngs=nnx.Rngs(0))))

    def definition(net, images):
        features = net.backbone(images)
        x = features.layer4
        skips = (features.layer3, features.layer2, features.layer1, features.stem, None)
        for block, skip in zip(net.decoder, skips, strict=True):
            x = block(jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2), skip)
        return net.classifier(x)

    x = images((64, 32))
    expected = jax.jit(definition, compiler_options=QUICKLY)(net, x)
    np.testing.assert_allclose(call(net, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("output_stride", [32, 8])
@pytest.mark.parametrize("size", [(37, 64), (1, 1), (2, 95)])
def test_each_step_works_at_the_size_of_the_next_stage(monkeypatch, size, output_stride):
    net = abstract(
        lambda: EncoderUNet(
            classes=3,
            backbone=TINIEST,
            decoder=(8,) * 5,
            output_stride=output_stride,
            rngs=nnx.Rngs(0),
        )
    )
    sizes, original = [], DecoderBlock.__call__

    def record(self, x, skip, **options):
        sizes.append((x.shape[1:-1], None if skip is None else skip.shape[1:-1]))
        return original(self, x, skip, **options)

    monkeypatch.setattr(DecoderBlock, "__call__", record)
    shapes(net, size)
    stages = [tuple(-(-n // min(s, output_stride)) for n in size) for s in (16, 8, 4, 2)]
    assert sizes == [*((s, s) for s in stages), (size, None)]
