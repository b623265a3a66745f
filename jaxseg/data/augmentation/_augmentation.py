"""The random changes of images and labels that training makes, and their strengths."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """The random changes that `augment` makes. Each is drawn anew for each example.

    Zoom, crop, flip and rotation are one affine map, drawn and applied once.

    Attributes:
        scale: Least and largest zoom; the logarithm of the zoom is uniform between theirs.
        crop: Height and width in pixels of the window that is cut out of the zoomed image, at a
            uniform place of whole pixels; None keeps the input's. A zoomed image that is smaller
            lies somewhere in the result, and the rest is filled.
        flip: Probability of a horizontal flip.
        rotate: Largest angle in degrees, to either side, about the middle of the result.
        brightness: The image is multiplied by a factor that is uniform in 1 ± this, but not
            negative.
        contrast: Differences from the mean gray value are multiplied by such a factor; the mean is
            that of the pixels that are not filled.
        saturation: Differences from the gray image are multiplied by such a factor; images of 3
            channels only.
        hue: Largest rotation of the hue to either side, in turns, at most 0.5; images of 3 channels
            only.
        blur: Largest standard deviation of a Gaussian blur in pixels; uniform from 0.
        cutout: Sides of a rectangle that is filled, as shares of the result's. Its middle is
            uniform in the image, so that a part may lie outside (DeVries and Taylor 2017,
            arXiv:1708.04552).

    Raises:
        ValueError: A field is out of range.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    crop: tuple[int, int] | None = None
    flip: float = 0.5
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur: float = 0.0
    cutout: float = 0.0

    def __post_init__(self):
        low, high = self.scale
        if not 0 < low <= high < math.inf:
            raise ValueError(
                f"scale={self.scale} is out of range, expected 0 < least <= largest: pass such a "
                "pair, (1.0, 1.0) for no zoom"
            )
        if self.crop is not None and not (len(self.crop) == 2 and min(self.crop) >= 1):
            raise ValueError(
                f"crop={self.crop} is not a size, expected two positive integers: pass a height "
                "and a width, or None to keep the images'"
            )
        limits = {"flip": 1.0, "rotate": 180.0, "hue": 0.5, "cutout": 1.0}
        for name in ("brightness", "contrast", "saturation", "blur", *limits):
            value, limit = getattr(self, name), limits.get(name, math.inf)
            if not (0 <= value <= limit and value < math.inf):
                raise ValueError(
                    f"{name}={value} is out of range, expected 0 to {limit:g}: pass such a "
                    "number, 0 to leave it out"
                )

    def for_images(self, channels: int, dtype: str) -> "Augmentation":
        """Leaves out what has no meaning for images of other channels than red, green and blue.

        Args:
            channels: Number of channels.
            dtype: Type that images are stored in; floats are measurements, not colors.

        Returns:
            The same changes, without those of saturation and hue where there are no colors.
        """
        colored = channels == 3 and dtype != "float32"
        return self if colored else dataclasses.replace(self, saturation=0.0, hue=0.0)
