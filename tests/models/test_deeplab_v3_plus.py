"""DeepLab v3+ against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from small_nets import QUICKLY, TINIEST, call, draw_norms, images, quick

from jaxseg import ops
from jaxseg.models import DeepLabV3Plus


def test_the_decoder_works_on_the_pyramid_resized_to_the_first_stage():
    options = {"classes": 3, "backbone": TINIEST, "features": 8, "low_features": 4}
    net = draw_norms(quick(lambda: DeepLabV3Plus(**options, output_stride=16, rngs=nnx.Rngs(0))))

    def definition(net, images):
        features = net.backbone(images)
        low = net.low(features.layer1)
        pyramid = ops.resize(net.aspp(features.layer4), low.shape[1:3], method="bilinear")
        x = net.second(net.first(jnp.concatenate([pyramid, low], axis=-1)))
        return ops.resize(net.classifier(x), images.shape[1:3], method="bilinear")

    x = images((37, 52))
    expected = jax.jit(definition, compiler_options=QUICKLY)(net, x)
    np.testing.assert_allclose(call(net, x), expected, rtol=1e-4, atol=1e-4)
