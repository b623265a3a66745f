"""Nets by the names that the command line gives them."""

from typing import Any

from jaxseg.models.deeplab_v3 import DeepLabV3
from jaxseg.models.deeplab_v3_plus import DeepLabV3Plus
from jaxseg.models.drn import DRN
from jaxseg.models.encoder_unet import EncoderUNet
from jaxseg.models.fcn import FCN
from jaxseg.models.lraspp import LRASPP
from jaxseg.models.segmenter import Segmenter
from jaxseg.models.skip_fcn import SkipFCN
from jaxseg.models.unet import UNet

NETS: dict[str, tuple[type[Segmenter] | type[UNet], dict[str, Any]]] = {
    "unet": (UNet, {"widths": (16, 32, 64, 128, 256)}),
    "fcn": (FCN, {"backbone": "resnet18"}),
    "fcn32s": (SkipFCN, {"backbone": "resnet18", "finest": 32}),
    "fcn16s": (SkipFCN, {"backbone": "resnet18", "finest": 16}),
    "fcn8s": (SkipFCN, {"backbone": "resnet18", "finest": 8}),
    "deeplabv3": (DeepLabV3, {"backbone": "resnet18"}),
    "deeplabv3plus": (DeepLabV3Plus, {"backbone": "resnet18", "output_stride": 16}),
    "encoder_unet": (EncoderUNet, {"backbone": "resnet18"}),
    "lraspp": (LRASPP, {}),
    "drn": (DRN, {}),
}
"""Every net by name: its constructor, and the options that `jaxseg train` gives it by default."""
