"""Nets by the names that the command line gives them."""

from typing import Any

from jaxseg.models.deeplab_v3 import DeepLabV3
from jaxseg.models.deeplab_v3_plus import DeepLabV3Plus
from jaxseg.models.drn import DRN
from jaxseg.models.encoder_unet import EncoderUNet
from jaxseg.models.erfnet import ERFNet
from jaxseg.models.fc_densenet import FC_DENSENETS, FCDenseNet
from jaxseg.models.fcn import FCN
from jaxseg.models.fpn import FPN
from jaxseg.models.linknet import LinkNet
from jaxseg.models.lraspp import LRASPP
from jaxseg.models.psp_net import PSPNet
from jaxseg.models.segmenter import Segmenter
from jaxseg.models.skip_fcn import SkipFCN
from jaxseg.models.unet import UNet
from jaxseg.models.unet_plus_plus import UNetPlusPlus
from jaxseg.models.uper_net import UPerNet

WholeNet = type[UNet] | type[UNetPlusPlus] | type[ERFNet] | type[FCDenseNet]
"""Nets without an encoder to choose."""
NETS: dict[str, tuple[type[Segmenter] | WholeNet, dict[str, Any]]] = {
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
    "linknet": (LinkNet, {"backbone": "resnet18"}),
    "pspnet": (PSPNet, {"backbone": "resnet18"}),
    "fpn": (FPN, {"backbone": "resnet18"}),
    "upernet": (UPerNet, {"backbone": "resnet18"}),
    "unetplusplus": (UNetPlusPlus, {}),
    "erfnet": (ERFNet, {}),
    **{
        f"fcdensenet{number}": (FCDenseNet, {"layers": layers, "growth": growth})
        for number, (layers, growth) in FC_DENSENETS.items()
    },
}
"""Every net by name: its constructor, and the options that `jaxseg train` gives it by default."""


def has_encoder(name: str) -> bool:
    """Tell whether a net of `NETS` is a head on an encoder that can be chosen.

    Args:
        name: Name of the net.
    """
    return issubclass(NETS[name][0], Segmenter)
