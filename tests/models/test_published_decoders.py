"""Nets are those of their papers, layer by layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_nets import TINIEST, draw_norms, parameters, quick

from jaxseg import models, nn
from jaxseg.models import erfnet, fc_densenet, linknet, unet
from jaxseg.models.encoders import Features
from jaxseg.nn import BatchNorm, Conv, UpConv

torch = pytest.importorskip("torch")
import torch_decoders  # noqa: E402


def count(make):
    return parameters(nnx.eval_shape(make))


def test_published_numbers_of_parameters():

    assert count(lambda: models.LinkNet(classes=20, rngs=nnx.Rngs(0))) == 11_535_764  # "11.5 M"
    assert count(lambda: models.ERFNet(classes=20, rngs=nnx.Rngs(0))) == 2_064_256  # "2.1 M"
    published = {56: 1.4, 67: 3.5, 103: 9.3}
    for number, (layers, growth) in models.FC_DENSENETS.items():
        net = count(
            lambda layers=layers, growth=growth: models.FCDenseNet(
                classes=11, layers=layers, growth=growth, rngs=nnx.Rngs(0)
            )
        )
        assert round(net / 1e6, 1) == published[number]
        # Layers, transitions down and up, the first and the last convolution.
        assert 2 * sum(layers[:-1]) + layers[-1] + 2 * (len(layers) - 1) + 2 == number


def parts(module):
    """List the convolutions and norms of a part of a net, in the order of the authors' code."""
    if isinstance(module, Conv | UpConv | BatchNorm):
        return [module]
    names = {
        nn.ConvNorm: ("conv", "norm"),
        linknet.LinkDecoder: ("reduce", "up", "up_norm", "expand"),
        erfnet.Downsampler: ("conv", "norm"),
        erfnet.Upsampler: ("up", "norm"),
        erfnet.NonBottleneck1D: (
            *("vertical", "horizontal", "norm"),
            *("dilated_vertical", "dilated_horizontal", "dilated_norm"),
        ),
        fc_densenet.DenseUnit: ("norm", "conv"),
        unet.UNetBlock: ("first", "second"),
        nn.PyramidPooling: ("reduce",),
    }
    inside = (
        [getattr(module, name) for name in names[type(module)]] if type(module) in names else module
    )
    return [part for child in inside for part in parts(child)]


def link_parts(net):
    return [net.decoder, net.first, net.first_norm, net.second, net.classifier]


def erf_parts(net):
    first, second, third = net.down
    decoder = [m for pair in zip(net.up, net.refine, strict=True) for m in pair]
    return [first, second, net.middle, third, net.deep, *decoder, net.classifier]


def dense_parts(net):
    return [net.stem, net.down, net.transitions, net.lowest, net.ups, net.up, net.classifier]


def head_parts(net):
    names = ("pooling", "top", "lateral", "smooth", "branches", "project", "fuse", "classifier")
    return [getattr(net, name) for name in names if hasattr(net, name)]


def nested_parts(net):
    return [net.down, net.nodes, net.ups, net.classifiers]


def fill(theirs, ours):
    """Put the variables of our modules into PyTorch's, which come in the same order."""
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.BatchNorm2d)
    for module, mine in zip(
        [m for m in theirs.modules() if isinstance(m, kinds)], parts(ours), strict=True
    ):
        state = {}
        if isinstance(mine, BatchNorm):
            names = {"weight": "scale", "running_mean": "mean", "running_var": "var"}
            state = {name: getattr(mine, own)[...] for name, own in names.items()}
        elif isinstance(mine, Conv):
            state["weight"] = mine.kernel[...].transpose(3, 2, 0, 1)
        else:
            state["weight"] = jnp.flip(mine.kernel[...], (0, 1)).transpose(2, 3, 0, 1)
        if mine.bias is not None:
            state["bias"] = mine.bias[...]
        tensors = {name: torch.from_numpy(np.array(a)) for name, a in state.items()}
        module.load_state_dict(tensors, strict=False)
    return theirs.double()


def wide(net):
    """Make the variables float64."""
    return nnx.update(net, jax.tree.map(lambda a: a.astype(jnp.float64), nnx.state(net))) or net


def drawn(make):
    net = draw_norms(quick(make))
    for path, variable in nnx.to_flat_state(nnx.state(net, nnx.Param)):
        if path[-1] == "bias":  # those of convolutions too
            shape = variable[...].shape
            variable[...] = jnp.asarray(np.random.default_rng(3).normal(size=shape), jnp.float32)
    return net


def last_pixel(a):
    return np.moveaxis(np.asarray(a), -1, 1)


WIDTHS = (8, 16, 32, 64)
"""Channels of the stages of `TINIEST`."""
HEADS = {
    "linknet": (models.LinkNet, {}, lambda: torch_decoders.LinkHead(WIDTHS, 5), link_parts),
    "psp_net": (
        models.PSPNet,
        {"features": 8},
        lambda: torch_decoders.PSPHead(WIDTHS, 5, 8),
        head_parts,
    ),
    "fpn": (
        models.FPN,
        {"pyramid": 8, "features": 8},
        lambda: torch_decoders.FPNHead(WIDTHS, 5, 8),
        head_parts,
    ),
    "uper_net": (
        models.UPerNet,
        {"features": 8},
        lambda: torch_decoders.UPerHead(WIDTHS, 5, 8),
        head_parts,
    ),
}
NESTED = {"widths": (4, 6, 8), "deep_supervision": True}
DENSE = {"layers": (2, 1, 3), "growth": 4, "stem": 6}
WHOLE = {
    "erfnet": (
        models.ERFNet,
        {"widths": (6, 8, 12)},
        lambda: torch_decoders.ERFNet(5, (6, 8, 12)),
        erf_parts,
    ),
    "fc_densenet": (
        models.FCDenseNet,
        DENSE,
        lambda: torch_decoders.Tiramisu(5, **DENSE),
        dense_parts,
    ),
    "unet_plus_plus": (
        models.UNetPlusPlus,
        NESTED,
        lambda: torch_decoders.NestedUNet(5, (4, 6, 8), 2),
        nested_parts,
    ),
}
both = pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])


def same(result, theirs, given, train):
    with torch.no_grad():
        expected = theirs.train(train)(given).numpy()
    difference = np.abs(last_pixel(result) - expected).max()
    assert difference < 1e-9 * np.abs(expected).max()


def tensor(a):
    return torch.from_numpy(last_pixel(a).copy())


@both
@pytest.mark.parametrize("name", WHOLE)
def test_logits_are_those_of_the_authors_layers(name, train):
    kind, options, make, order = WHOLE[name]
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 32, 64, 3)))
        net = wide(drawn(lambda: kind(classes=5, **options, rngs=nnx.Rngs(0))))
        theirs = fill(make(), order(net))
        same(net(x, train=train), theirs, tensor(x), train)


@both
@pytest.mark.parametrize("name", HEADS)
def test_heads_are_the_authors_layers_on_the_same_features(name, train):
    kind, options, make, order = HEADS[name]
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        net = wide(
            drawn(
                lambda: kind(
                    classes=5, backbone=TINIEST, output_stride=32, **options, rngs=nnx.Rngs(0)
                )
            )
        )
        draw = np.random.default_rng(2)
        stages = [
            jnp.asarray(draw.normal(size=(2, 64 >> n, 128 >> n, width)))
            for n, width in zip(range(2, 6), WIDTHS, strict=True)
        ]
        features = Features(stages[0], *stages, stages[0], stages[2])
        theirs = fill(make(), order(net))
        result = net.decode(features, (64, 128), train=train, key=None)
        same(result, theirs, [tensor(x) for x in stages], train)
