"""Flax NNX modules: they own parameters and call `jaxseg.ops`."""

from jaxseg.nn import initializers
from jaxseg.nn._dropout import dropout
from jaxseg.nn._functional import functional
from jaxseg.nn.aspp import ASPP
from jaxseg.nn.blocks import Bottleneck, PostActivation, PreActivation, Residual
from jaxseg.nn.context import ContextModule
from jaxseg.nn.conv import Conv, UpConv
from jaxseg.nn.conv_norm import ConvNorm
from jaxseg.nn.norm import BatchNorm, Bias, GroupNorm
from jaxseg.nn.pyramid_pooling import PyramidPooling
from jaxseg.nn.remat import rematerialize
from jaxseg.nn.squeeze import SqueezeExcitation
from jaxseg.nn.stack import Stack

__all__ = [
    "ASPP",
    "BatchNorm",
    "Bias",
    "Bottleneck",
    "ContextModule",
    "Conv",
    "ConvNorm",
    "GroupNorm",
    "PostActivation",
    "PreActivation",
    "PyramidPooling",
    "Residual",
    "SqueezeExcitation",
    "Stack",
    "UpConv",
    "dropout",
    "functional",
    "initializers",
    "rematerialize",
]
