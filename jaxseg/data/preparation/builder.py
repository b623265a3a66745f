"""TFDS without TensorFlow: writes data sets and opens them.

This is the one module that imports `tensorflow_datasets`, which takes a while: it is imported when
a data set is prepared or read, not before.
"""

import contextlib
import dataclasses
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.utils import tqdm_utils

from jaxseg.data.preparation.encoding import encode, fits_png
from jaxseg.data.preparation.recipe import Recipe
from jaxseg.progress import progress_bar


def write_dataset(recipe: Recipe, folder: Path) -> Path:
    """Writes all examples of a data set.

    Args:
        recipe: What the data set is prepared from.
        folder: An empty folder.

    Returns:
        The directory inside it that holds the files.

    Raises:
        ValueError: The recipe's `examples` rejects its input.
    """
    with _quiet():
        config = _Config(name=recipe.name, version=recipe.version, recipe=recipe)
        builder = _Builder(data_dir=folder, config=config)
        builder.download_and_prepare(
            file_format="array_record",  # the default, tfrecord, needs TensorFlow
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )
    return Path(builder.data_dir)


def open_split(directory: Path, split: str) -> Any:
    """Opens one split of a prepared data set, undecoded.

    Args:
        directory: What `write_dataset` returned, wherever it has been moved to.
        split: A name, or a slice of one in TFDS's notation such as `"train[:25%]"`.

    Returns:
        A random-access sequence of `{"image": bytes, "label": bytes}`, for `encoding.decode`.
    """
    with _quiet():
        builder: Any = tfds.builder_from_directory(directory)
        # TFDS would decode with OpenCV where that is installed, and OpenCV turns masks stored
        # with a palette or with one bit into something else; so the bytes are taken as they are.
        skip = {key: tfds.decode.SkipDecoding() for key in ("image", "label")}
        return builder.as_data_source(split, decoders=skip)


@dataclasses.dataclass(eq=False)
class _Config(tfds.core.BuilderConfig):
    recipe: Recipe | None = None


class _Info(tfds.core.DatasetInfo):
    """A `DatasetInfo` that never looks for statistics in a storage bucket."""

    def initialize_from_bucket(self) -> None:
        """Does nothing; TFDS's own would leave an empty temporary folder at each call."""


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes any recipe; not registered, since `data.load` is the way to all."""

    name = "jaxseg"
    VERSION = tfds.core.Version("1.0.0")  # a config's own comes before it

    @property
    def _recipe(self) -> Recipe:
        config: Any = self.builder_config
        return config.recipe

    def _info(self) -> tfds.core.DatasetInfo:
        info = self._recipe.info
        # TFDS encodes arrays with TensorFlow, but PIL images with PIL, and takes bytes as they are:
        # the examples are of the latter two.
        image: Any = tfds.features.Text()  # bytes
        if fits_png(info.dtype, info.channels):
            image = tfds.features.Image(shape=(*info.size, info.channels), encoding_format="png")
        label = tfds.features.LabeledImage(
            labels=list(info.class_names), shape=(*info.size, 1), encoding_format="png"
        )
        return _Info(
            builder=self,
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            disable_shuffling=True,  # example i of a split is its record i
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in self._recipe.splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        recipe = self._recipe
        progress = progress_bar(
            recipe.examples(split),
            desc=f"preparing {recipe.info.name}, {split}",
            total=recipe.splits[split],
        )
        for index, (image, label) in enumerate(progress):
            image = image if image.ndim == 3 else image[..., None]
            yield index, {"image": encode(image), "label": Image.fromarray(label)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps off the terminal what TFDS says, and restores all as it was.

    It warns of every config made in code, prints the temporary directory's name as if the data
    set were to stay there, and its progress bars know no totals; the builder has one that does.
    """
    logger = logging.getLogger("absl")
    level = logger.level
    bars = not isinstance(tqdm_utils.tqdm(disable=True), tqdm_utils.EmptyTqdm)
    logger.setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
        if bars:
            tfds.enable_progress_bar()
