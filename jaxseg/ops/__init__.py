"""Functions from arrays to arrays: the operations that segmentation nets are built from."""

from jaxseg.ops._conv import conv
from jaxseg.ops._lowering import lowering
from jaxseg.ops._resize import resize
from jaxseg.ops._standardize import standardize
from jaxseg.ops._upconv import upconv
from jaxseg.ops.adaptive_pool import adaptive_avg_pool
from jaxseg.ops.geometry import conv_output_size, upconv_output_size
from jaxseg.ops.mirror import mirror_pad
from jaxseg.ops.pool import avg_pool, max_pool
from jaxseg.ops.shuffle import pixel_shuffle, pixel_unshuffle

__all__ = [
    "adaptive_avg_pool",
    "avg_pool",
    "conv",
    "conv_output_size",
    "lowering",
    "max_pool",
    "mirror_pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize",
    "standardize",
    "upconv",
    "upconv_output_size",
]
