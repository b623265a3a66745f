"""The meaning of the numbers of a data set's images and labels."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jaxseg.data.images.normalization import Images, denormalize, normalize

Color = tuple[int, int, int]
"""Red, green and blue in 0..255."""


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """The meaning of the numbers of a data set's images and labels.

    Attributes:
        name: Name of the data set, such as `"mosaic"` or `"camvid"`.
        size: Height and width of every image in pixels.
        class_names: Name of every class, in the order of the labels.
        palette: Color of every class as (red, green, blue) in 0..255.
        mean: Mean of every channel, in units of full brightness.
        std: Standard deviation of every channel, likewise.
        mask_values: The number or the color that the user's masks hold for each class, in the order
            of the labels; () where that is the label.
        ignored_value: Likewise for ignored pixels; None where that is 255.
        dtype: Type that images are stored in: "uint8", "uint16" or "float32", whose full brightness
            is 255, 65535 and 1.
        keep_aspect: Images are scaled evenly and padded to `size`; otherwise they are stretched.
        crops: The images have sizes of their own, and nets are trained on random crops of them at
            native resolution; `size` is the crops'.
        mask_labels: The label of every value that the user's masks may hold, as pairs (value,
            label) in ascending order: 0..classes-1, or 255 for ignored pixels; () for a data set
            without mask files.
        colored_masks: The values in `mask_labels` are colors, packed as red × 65536 + green × 256
            + blue.
    """

    name: str
    size: tuple[int, int]
    class_names: tuple[str, ...]
    palette: tuple[Color, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mask_values: tuple[int | Color, ...] = ()
    ignored_value: int | Color | None = None
    dtype: str = "uint8"
    keep_aspect: bool = True
    crops: bool = False
    mask_labels: tuple[tuple[int, int], ...] = ()
    colored_masks: bool = False

    @property
    def classes(self) -> int:
        """Number of classes; labels are 0..classes-1, and 255 where they are ignored."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """Number of channels of an image."""
        return len(self.mean)

    def normalize(self, images: Images) -> Float32[Array, "*shape channels"]:
        """Normalizes images: (brightness - mean) / std, channel by channel.

        8-bit images give the same bits as NumPy's `(images / 255 - mean) / std` in float32.

        Args:
            images: Images as they are stored, or their brightness as floats: in [0, 1], unless
                images are stored as floats.

        Raises:
            ValueError: The images are neither of the type that is stored nor floats, or have other
                channels.
        """
        integers = np.issubdtype(images.dtype, np.integer)
        if integers and images.dtype in (np.uint8, np.uint16) and images.dtype != self.dtype:
            raise ValueError(
                f"normalize: images have dtype {images.dtype}, expected {self.dtype}, as "
                f"{self.name} is stored, or floats: convert them to the same range"
            )
        return normalize(images, self.mean, self.std)

    def denormalize(
        self, images: Float[Array | np.ndarray, "*shape channels"]
    ) -> Float32[Array, "*shape channels"]:
        """Brightness of normalized images: the inverse of `normalize`.

        Args:
            images: Normalized images.

        Returns:
            Brightness, clipped to [0, 1] unless images are stored as floats.

        Raises:
            ValueError: The images are not floats, or have other channels.
        """
        return denormalize(images, self.mean, self.std, clip=self.dtype != "float32")

    def normalize_batch(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Makes of a batch as it is read what a training step takes; for the device.

        Args:
            batch: `"image"`, images as they are stored or their brightness as floats, and
                `"label"`, integers. What else it holds is kept as it is.

        Returns:
            The batch with normalized images, float32, and labels of int32.

        Raises:
            ValueError: The images are neither of the type that is stored nor floats, or have other
                channels.

        Example:
            >>> info = DatasetInfo("x", (1, 2), ("a", "b"), ((0, 0, 0), (9, 9, 9)), (0.5,), (0.25,))
            >>> image = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
            >>> batch = info.normalize_batch({"image": image, "label": np.array([[[0, 255]]])})
            >>> batch["image"].ravel().tolist(), batch["label"].dtype
            ([-2.0, 2.0], dtype('int32'))
        """
        label = jnp.asarray(batch["label"]).astype(jnp.int32)
        return {**batch, "image": self.normalize(batch["image"]), "label": label}
