"""Data sets for dense prediction: prepared with TFDS without TensorFlow, read with grain."""

from jaxseg.data._augment import Augmentation, augment
from jaxseg.data._prefetch import Prefetch, prefetch
from jaxseg.data._prepare import prepare
from jaxseg.data.batching import batches, padded_batches
from jaxseg.data.datasets import ade20k, camvid, cityscapes, mosaic, oxford_pet, voc
from jaxseg.data.frequencies import class_frequencies, inverse_log_weights, median_frequency_weights
from jaxseg.data.mosaic_builder import MosaicConfig, TextureMosaic, mosaic_example
from jaxseg.data.normalization import denormalize, normalize
from jaxseg.data.pair_folder import folder
from jaxseg.data.sources import Dataset, DatasetInfo, Example, Source, check_labels

__all__ = [
    "Augmentation",
    "Dataset",
    "DatasetInfo",
    "Example",
    "MosaicConfig",
    "Prefetch",
    "Source",
    "TextureMosaic",
    "ade20k",
    "augment",
    "batches",
    "camvid",
    "check_labels",
    "cityscapes",
    "class_frequencies",
    "denormalize",
    "folder",
    "inverse_log_weights",
    "median_frequency_weights",
    "mosaic",
    "mosaic_example",
    "normalize",
    "oxford_pet",
    "padded_batches",
    "prefetch",
    "prepare",
    "voc",
]
