"""Data sets for dense prediction: prepared with TFDS without TensorFlow, read with grain."""

from jaxseg.data.augment import Augmentation, augment
from jaxseg.data.batching import batches, padded_batches
from jaxseg.data.camvid_builder import Camvid, CamvidConfig
from jaxseg.data.datasets import camvid, mosaic
from jaxseg.data.frequencies import (
    class_frequencies,
    inverse_log_weights,
    median_frequency_weights,
)
from jaxseg.data.mosaic_builder import MosaicConfig, TextureMosaic, mosaic_example
from jaxseg.data.pixels import standardise, to_float
from jaxseg.data.prefetch import Prefetch, prefetch
from jaxseg.data.prepare import prepare
from jaxseg.data.sources import Dataset, Example, Pixels, Source, check_labels

__all__ = [
    "Augmentation",
    "Camvid",
    "CamvidConfig",
    "Dataset",
    "Example",
    "MosaicConfig",
    "Pixels",
    "Prefetch",
    "Source",
    "TextureMosaic",
    "augment",
    "batches",
    "camvid",
    "check_labels",
    "class_frequencies",
    "inverse_log_weights",
    "median_frequency_weights",
    "mosaic",
    "mosaic_example",
    "padded_batches",
    "prefetch",
    "prepare",
    "standardise",
    "to_float",
]
