"""Arrays to arrays: the convolutions that a segmentation net is made of."""

from jaxseg.ops.conv import conv
from jaxseg.ops.geometry import conv_output_size, upconv_output_size
from jaxseg.ops.lowering import lowering
from jaxseg.ops.upconv import upconv

__all__ = ["conv", "conv_output_size", "lowering", "upconv", "upconv_output_size"]
