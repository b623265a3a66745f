"""Data sets for dense prediction: prepared with TFDS without TensorFlow, read with grain.

`data.load("camvid")`, or a data set's own function with all its options, gives a `Dataset`: its
`info`, and a `source` of examples for every split. `batches` and `padded_batches` make batches of
a source, `prefetch` puts them on the device, and there `augment` and `DatasetInfo.normalize_batch`
make of them what a net is trained on.
"""

from jaxseg.data._prefetch import Prefetch, prefetch
from jaxseg.data.augmentation._augment import augment
from jaxseg.data.augmentation._augmentation import Augmentation
from jaxseg.data.batching import batches, padded_batches
from jaxseg.data.crops import NativeSource, crop_before_zoom
from jaxseg.data.dataset import Dataset
from jaxseg.data.frequencies import class_frequencies, inverse_log_weights, median_frequency_weights
from jaxseg.data.images.normalization import denormalize, normalize
from jaxseg.data.info import DatasetInfo
from jaxseg.data.preparation._prepare import prepare
from jaxseg.data.preparation.recipe import Recipe
from jaxseg.data.sets import SETS, load
from jaxseg.data.sets.ade20k import ade20k
from jaxseg.data.sets.camvid import camvid
from jaxseg.data.sets.cityscapes import cityscapes
from jaxseg.data.sets.folder import folder
from jaxseg.data.sets.mosaic import MosaicConfig, mosaic, mosaic_example
from jaxseg.data.sets.oxford_pet import oxford_pet
from jaxseg.data.sets.voc import voc
from jaxseg.data.sources import Example, Source, check_labels

__all__ = [
    "SETS",
    "Augmentation",
    "Dataset",
    "DatasetInfo",
    "Example",
    "MosaicConfig",
    "NativeSource",
    "Prefetch",
    "Recipe",
    "Source",
    "ade20k",
    "augment",
    "batches",
    "camvid",
    "check_labels",
    "cityscapes",
    "class_frequencies",
    "crop_before_zoom",
    "denormalize",
    "folder",
    "inverse_log_weights",
    "load",
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
