"""LinkNet, ERFNet and FC-DenseNet are those of their papers, layer by layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_nets import TINIEST, draw_norms, parameters, quick

from jaxseg import models, nn
from jaxseg.models import erfnet, fc_densenet, linknet
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


@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", ["erfnet", "fc_densenet", "linknet"])
def test_logits_are_those_of_the_authors_layers(name, train):
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 32, 64, 3)))
        if name == "erfnet":
            net = drawn(lambda: models.ERFNet(classes=5, widths=(6, 8, 12), rngs=nnx.Rngs(0)))
            theirs = fill(torch_decoders.ERFNet(5, (6, 8, 12)), erf_parts(wide(net)))
            result, given = net(x, train=train), x
        elif name == "fc_densenet":
            options = {"layers": (2, 1, 3), "growth": 4, "stem": 6}
            net = drawn(lambda: models.FCDenseNet(classes=5, **options, rngs=nnx.Rngs(0)))
            theirs = fill(torch_decoders.Tiramisu(5, **options), dense_parts(wide(net)))
            result, given = net(x, train=train), x
        else:
            net = drawn(lambda: models.LinkNet(classes=5, backbone=TINIEST, rngs=nnx.Rngs(0)))
            theirs = fill(torch_decoders.LinkHead((8, 16, 32, 64), 5), link_parts(wide(net)))
            draw = np.random.default_rng(2)
            shapes = [(2, 32 >> n, 64 >> n, 8 << n - 2) for n in range(2, 6)]
            given = [jnp.asarray(draw.normal(size=shape)) for shape in shapes]
            features = Features(*([given[0]] * 7))._replace(
                layer1=given[0], layer2=given[1], layer3=given[2], layer4=given[3]
            )
            result = net.decode(features, (32, 64), train=train, key=None)
        tensors = [torch.from_numpy(last_pixel(a).copy()) for a in jax.tree.leaves(given)]
        with torch.no_grad():
            expected = theirs.train(train)(tensors if name == "linknet" else tensors[0])
        difference = np.abs(last_pixel(result) - expected.numpy()).max()
        assert difference < 1e-9 * np.abs(expected.numpy()).max()
