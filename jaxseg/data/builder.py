"""What the TFDS builders of this package share: images with masks, stored as PNG files."""

import abc
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm


@dataclasses.dataclass(eq=False)
class Recipe(tfds.core.BuilderConfig):
    """A TFDS config that says what to make.

    Attributes:
        options: What the builder itself reads. Everything in it that changes the data must be
            part of `name`, which names the directory: see `recipe_name`.
        shape: Height, width and channels of every image.
        class_names: The name of every class, in the order of the labels.
        splits: The number of examples of every split, by name.
    """

    options: Any = None
    shape: tuple[int, int, int] = (1, 1, 1)
    class_names: tuple[str, ...] = ()
    splits: dict[str, int] = dataclasses.field(default_factory=dict)


def recipe_name(prefix: str, **fields: Any) -> str:
    """A directory name that differs whenever any of `fields` does.

    Args:
        prefix: The readable part: letters, digits, `-`, `+` and `.`.
        **fields: Values that JSON can hold.

    Returns:
        The prefix and the first 12 hexadecimal digits of a digest of the fields.
    """
    text = json.dumps(fields, sort_keys=True)
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class LocalInfo(tfds.core.DatasetInfo):
    """A `DatasetInfo` that never looks for statistics in a storage bucket."""

    def initialize_from_bucket(self) -> None:
        """Does nothing; TFDS's own would leave an empty temporary folder at each call."""


class MaskBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of the builders: a subclass says what the examples of a split are.

    The builders stay out of TFDS's registry of names: nothing is gained by a second way to them.
    """

    @abc.abstractmethod
    def examples(self, split: str) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        """Yields uint8 images, (height, width[, channels]), with uint8 labels, (height, width)."""

    @property
    def title(self) -> str:
        """What the progress bar calls the data set."""
        return self.name

    @property
    def recipe(self) -> Recipe:
        """The recipe that the builder was made with.

        Raises:
            ValueError: It was made without one.
        """
        config = self.builder_config
        if not isinstance(config, Recipe):
            raise ValueError(
                f"config={config!r} is not valid for {self.name}, expected a Recipe: pass what "
                "the method `recipe` of its config class returns"
            )
        return config

    def _info(self) -> tfds.core.DatasetInfo:
        height, width, channels = self.recipe.shape
        # TFDS encodes arrays with TensorFlow, but PIL images with PIL: the examples are the latter.
        image = tfds.features.Image(shape=(height, width, channels), encoding_format="png")
        label = tfds.features.LabeledImage(
            labels=list(self.recipe.class_names), shape=(height, width, 1), encoding_format="png"
        )
        return LocalInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            disable_shuffling=True,  # example i of a split is its record i
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in self.recipe.splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Image.Image]]]:
        progress = tqdm(
            self.examples(split),
            desc=f"preparing {self.title}, {split}",
            total=self.recipe.splits[split],
            leave=False,
        )
        for index, (image, label) in enumerate(progress):
            yield index, {"image": Image.fromarray(image), "label": Image.fromarray(label)}
