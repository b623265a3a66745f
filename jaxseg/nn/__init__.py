"""Flax NNX modules: they own parameters and call `jaxseg.ops`."""

from jaxseg.nn import initializers
from jaxseg.nn.aspp import ASPP
from jaxseg.nn.blocks import Bottleneck, PostActivation, PreActivation, Residual
from jaxseg.nn.context import Context
from jaxseg.nn.conv import Conv, UpConv
from jaxseg.nn.conv_norm import ConvNorm
from jaxseg.nn.dropout import dropout
from jaxseg.nn.functional import functional
from jaxseg.nn.norm import BatchNorm, GroupNorm, Shift
from jaxseg.nn.remat import rematerialised
from jaxseg.nn.squeeze import SqueezeExcitation
from jaxseg.nn.stack import Stack

__all__ = [
    "ASPP",
    "BatchNorm",
    "Bottleneck",
    "Context",
    "Conv",
    "ConvNorm",
    "GroupNorm",
    "PostActivation",
    "PreActivation",
    "Residual",
    "Shift",
    "SqueezeExcitation",
    "Stack",
    "UpConv",
    "dropout",
    "functional",
    "initializers",
    "rematerialised",
]
